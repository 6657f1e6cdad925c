"""The views, one file for each page and its parts. They read rows and ask `main` to act; they decide nothing."""
