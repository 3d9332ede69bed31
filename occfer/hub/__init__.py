"""Shares models and published manifests through the Hugging Face Hub, and fetches them from there.

No picture passes through here, and nothing is uploaded that the user has not seen listed and agreed to.
"""
