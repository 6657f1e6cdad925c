"""`python -m receiver` is `dicom-receiver`."""

from receiver.command import main

main()
