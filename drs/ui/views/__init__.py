"""The pages, a file each; streamlit runs them as scripts.

The folder is not called `pages`: beside the main script streamlit would take that for its older kind of
multipage app, and a link to a page would run the page without the frame in `drs.ui.app`.
"""
