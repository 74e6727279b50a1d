"""Models that predict, as files: which there are, what they are, and what they say about themselves. No torch.

A request names one; :func:`segdrop.model_files.resolving.resolve` finds it. Nothing here runs what a file holds: it is
told by names, by a ZIP's directory, and by readers that build plain values only.
"""
