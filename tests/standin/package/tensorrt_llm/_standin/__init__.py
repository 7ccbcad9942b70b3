"""How the stand-in works inside. Nothing here has the name of anything in the real package."""
