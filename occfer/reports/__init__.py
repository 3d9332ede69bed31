"""What is shown of results: tables as text, and reports."""
