"""The DICOM receiver: what modalities and PACS send arrives here and is handed over as drops, like everything else.

It knows associations, files and the folder that it hands over in; what becomes of an image is the pipeline's.
"""
