"""Makes the virtual environment of the integration tests, or says plainly what is missing.

    python3 make_environment.py FOLDER REQUIREMENTS

Only the standard library is used: this runs before anything is installed. Three ways are tried,
because Debian's python3 has `venv` without the pip that it needs (that is in python3-venv).
"""

import importlib.util
import os
import shutil
import subprocess
import sys


def fail(reason):
    sys.exit(f"make_environment.py: {reason}")


def run(*command):
    """The command's failure as text, or None."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError as error:
        return str(error)
    return None if done.returncode == 0 else done.stdout.strip()


def installer(environment):
    """Makes the environment; gives back the command that installs packages into it."""
    python = os.path.join(environment, "bin", "python")
    tried = []
    if importlib.util.find_spec("ensurepip"):
        trouble = run(sys.executable, "-m", "venv", environment)
        if trouble is None:
            return [python, "-m", "pip"]
        tried.append(f"python3 -m venv: {trouble}")
    else:
        tried.append("python3 -m venv: this Python has no ensurepip")
    if shutil.which("virtualenv"):
        trouble = run("virtualenv", "--clear", "--python", sys.executable, environment)
        if trouble is None:
            return [python, "-m", "pip"]
        tried.append(f"virtualenv: {trouble}")
    if importlib.util.find_spec("pip"):
        trouble = run(sys.executable, "-m", "venv", "--clear", "--without-pip", environment)
        if trouble is None:
            return [sys.executable, "-m", "pip", "--python", python]
        tried.append(f"python3 -m venv --without-pip: {trouble}")
    fail(
        "no virtual environment can be made. Install one of python3-venv, virtualenv or python3-pip "
        "(Debian: apt-get install python3-venv). Tried:\n" + "\n".join(tried)
    )


def main():
    environment, requirements = sys.argv[1:]
    if sys.version_info < (3, 11):
        fail(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}; set PYTHON to a newer one")
    pip = installer(environment)
    trouble = run(*pip, "install", "--quiet", "--no-deps", "--disable-pip-version-check", "-r", requirements)
    if trouble is not None:
        fail(f"the packages could not be installed; is there a network, or an index set for pip?\n{trouble}")


main()
