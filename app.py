"""The web door: settings, build, launch. ``python app.py`` opens the page; a Hugging Face Space runs the same file."""

from settings import get_settings
from ui.page import build_demo, launch_arguments


def main() -> None:
    """Serve the page until interrupted."""
    settings = get_settings()
    demo = build_demo(settings)
    demo.launch(**launch_arguments(demo, settings))


if __name__ == "__main__":
    main()
