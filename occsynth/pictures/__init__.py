"""What people look at to judge a finished build: contact sheet, gallery, statistics and their figure.

Everything here reads manifests and changes none; making images and checking them belong to other packages.
"""
