"""One command a file, named as it is typed; each defines `command`. Found by `console.main`."""
