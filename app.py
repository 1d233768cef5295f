"""`streamlit run app.py`: the app of the package, for those who work in a checkout."""

from drs.ui.app import main

main()
