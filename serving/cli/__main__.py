"""`python -m mersalg`: wheels and editable installs have this file as `mersalg/__main__.py`."""

from mersalg.serving.cli.main import run

if __name__ == "__main__":
    run()
