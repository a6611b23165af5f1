"""One file per architecture family. `registry` holds their contract; `catalog` finds them by name."""
