//! The Python clients: a virtual environment under `target/`, made once, and programs run in it.
//!
//! The pinned packages are `integration/python/requirements.txt`. Test binaries run side by side
//! and share the environment, so a file lock guards its making and its stamp is written last.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use super::server::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Server, forget_environment};

/// The folder of the virtual environment's programs, made on first use.
static PROGRAMS: LazyLock<Result<PathBuf, String>> = LazyLock::new(make_environment);

/// Where the Python programs of these tests are.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/python")
}

/// Runs `program` of `integration/python` against `server`, fails the test if it fails, and gives
/// back the JSON object that is its last line of output.
pub(crate) fn run(server: &Server, program: &str, arguments: &[&str]) -> serde_json::Value {
    let mut command = started(program);
    command.args(arguments);
    let output = prepared(&mut command, server).output().expect("python can be started");
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{stdout}\n{stderr}", output.status);
    let last = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{program}: {error}\n{stdout}\n{stderr}"))
}

/// The command that starts a program of `integration/python`.
pub(crate) fn started(name: &str) -> Command {
    let mut command = Command::new(programs().join("python"));
    forget_environment(&mut command);
    command.args(["-E", "-s", "-B"]).arg(scripts().join(name));
    command
}

/// The programs of the virtual environment, or the reason why there are none.
fn programs() -> &'static Path {
    match &*PROGRAMS {
        Ok(folder) => folder,
        Err(reason) => panic!("{reason}"),
    }
}

/// Lets a command find the clients' programs, such as `aws`.
pub(crate) fn with_programs(command: &mut Command) {
    command.env("PATH", path_with(programs()));
}

/// Gives a client its endpoint and credential, and nothing of the machine's own AWS settings.
fn prepared<'a>(command: &'a mut Command, server: &Server) -> &'a mut Command {
    forget_environment(command);
    command
        .env("PATH", path_with(programs()))
        .env("TMPDIR", server.scratch())
        .env("AWS_ENDPOINT_URL", format!("http://{}", server.address()))
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
}

/// `PATH` with the programs of the virtual environment first.
fn path_with(programs: &Path) -> std::ffi::OsString {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(programs.to_path_buf()).chain(std::env::split_paths(&inherited));
    std::env::join_paths(folders).expect("folders that came out of PATH have no colon")
}

/// Makes the environment unless one with these very requirements is there.
fn make_environment() -> Result<PathBuf, String> {
    let told = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(target).map_err(|error| told("cannot make target/tmp", error))?;
    let lock = File::create(target.join("python.lock")).map_err(|error| told("python.lock", error))?;
    lock.lock().map_err(|error| told("cannot lock python.lock", error))?;

    let environment = target.join("python");
    let bin = environment.join("bin");
    let requirements = scripts().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).map_err(|error| told("requirements.txt", error))?;
    let stamp = environment.join("stamp");
    // A stamp alone says little: the Python it was made with may have been upgraded away.
    let works = || Command::new(bin.join("python")).arg("--version").output().is_ok();
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) && works() {
        return Ok(bin);
    }
    if environment.exists() {
        fs::remove_dir_all(&environment).map_err(|error| told("cannot remove the old environment", error))?;
    }
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    step(
        Command::new(&python).arg(scripts().join("make_environment.py")).arg(&environment).arg(&requirements),
        "these tests need Python 3.11 or newer (Debian: apt-get install python3), or PYTHON naming one",
    )?;
    fs::write(&stamp, wanted).map_err(|error| told("stamp", error))?;
    Ok(bin)
}

/// Runs one step of the set-up; a failure names the command, what it said and what to do.
fn step(command: &mut Command, remedy: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}; {remedy}"))?;
    if output.status.success() {
        return Ok(());
    }
    let (stdout, stderr) = texts(&output);
    Err(format!("the Python clients could not be set up ({}):\n{stdout}\n{stderr}", output.status))
}

/// Both outputs as text.
fn texts(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}
