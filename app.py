"""The web door: settings, build, launch. ``python app.py`` opens the page; a Hugging Face Space runs the same file."""

from settings import SettingsError, get_settings
from ui.page import build_demo, launch_arguments


def main() -> None:
    """Serve the page until interrupted."""
    try:
        settings = get_settings()
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    demo = build_demo(settings)
    try:
        demo.launch(**launch_arguments(demo, settings))
    except OSError:
        problem = f"The page cannot be served at {settings.host}:{settings.port}: the port is taken, or the address is not this machine's."
        raise SystemExit(f"{problem} Set CINEGLASS_PORT to another one.") from None


if __name__ == "__main__":
    main()
