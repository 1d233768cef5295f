"""The app's pages, a file each; streamlit runs them as scripts."""
