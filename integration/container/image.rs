//! The image under test: `docker/Dockerfile` as it stands, built without a registry.
//!
//! Its builder is normally an image with Rust. None can be pulled here, so one is made: a static
//! busybox for the shell of the Dockerfile's steps, and a `cargo` that puts the binary where the
//! real one would. The binary itself is built outside, by the command that the Dockerfile gives.
//! UNDERSTUDY_TEST_IMAGE names an image that is there already instead.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::engine::docker;

/// Stands for `cargo build … --target T --bin understudy`.
const CARGO: &str = "#!/bin/sh\nset -eu\nwhile [ \"$1\" != --target ]; do shift; done\n\
                     mkdir -p \"target/$2/release\"\ncp /understudy \"target/$2/release/understudy\"\n";

/// What the steps of the Dockerfile call, and who owns what.
const TOOLS: [&str; 9] = ["sh", "uname", "mkdir", "cp", "sed", "printf", "echo", "chown", "chmod"];

/// The tag of the image; it is built by the first test that asks.
pub(crate) fn tag() -> &'static str {
    static TAG: OnceLock<String> = OnceLock::new();
    TAG.get_or_init(|| std::env::var("UNDERSTUDY_TEST_IMAGE").unwrap_or_else(|_| build()))
}

/// The tag of an image with a shell and the tools of the Dockerfile's steps, which runs as root.
pub(crate) fn tools_tag() -> &'static str {
    static TAG: OnceLock<String> = OnceLock::new();
    TAG.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        lay_out_tools(folder.path());
        build_of(folder.path(), "understudy-test-tools")
    })
}

/// The tag of an image with this machine's curl, and a shell.
pub(crate) fn client_tag() -> &'static str {
    static TAG: OnceLock<String> = OnceLock::new();
    TAG.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        lay_out_tools(folder.path());
        let curl = ["/usr/bin/curl", "/bin/curl"].into_iter().find(|path| Path::new(path).exists());
        let curl = Path::new(curl.expect("curl: apt-get install curl"));
        let linked = Command::new("ldd").arg(curl).output().expect("ldd belongs to the C library");
        let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
        // `name => /path (address)`, or `/path (address)` of the loader.
        let libraries = linked.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
        for file in libraries.chain([curl]) {
            let below = folder.path().join(file.strip_prefix("/").expect("an absolute path"));
            fs::create_dir_all(below.parent().expect("it is below the folder")).expect("a folder");
            fs::copy(file, below).expect("a copy");
        }
        symlink("/usr/bin/curl", folder.path().join("bin/curl")).expect("a link");
        build_of(folder.path(), "understudy-test-client")
    })
}

/// Makes an image of a folder as it is.
fn build_of(folder: &Path, tag: &str) -> String {
    fs::write(folder.join("Dockerfile"), "FROM scratch\nCOPY . /\nENV PATH=/bin\n").expect("a file");
    docker(&["build", "--quiet", "--tag", tag, path(folder)]);
    tag.to_owned()
}

fn build() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tag = "understudy:test".to_owned();
    let folder = tempfile::tempdir().expect("a temporary folder");
    lay_out_builder(folder.path(), &binary(root));
    let builder = build_of(folder.path(), "understudy-test-builder");
    let dockerfile = root.join("docker/Dockerfile");
    let argument = format!("BUILDER={builder}");
    docker(&[
        "build",
        "--quiet",
        "--file",
        path(&dockerfile),
        "--build-arg",
        &argument,
        "--tag",
        &tag,
        path(root),
    ]);
    tag
}

/// The static binary, as the Dockerfile builds it; up to date already where nothing has changed.
fn binary(root: &Path) -> PathBuf {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let folder = root.join("target/image");
    let dockerfile = fs::read_to_string(root.join("docker/Dockerfile")).expect("it is there");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--bin", "understudy", "--target", &target])
        .arg("--target-dir")
        .arg(&folder)
        .envs(build_environment(&dockerfile))
        .current_dir(root)
        .output()
        .expect("cargo runs this test");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    folder.join(target).join("release/understudy")
}

/// The variables that the Dockerfile builds with: its line `ENV RUSTFLAGS="…" NAME=VALUE …`.
fn build_environment(dockerfile: &str) -> Vec<(&str, &str)> {
    let line = dockerfile.lines().find_map(|line| line.strip_prefix("ENV RUSTFLAGS=\""));
    let (flags, others) = line.and_then(|line| line.split_once('"')).expect("the line is there");
    let others = others.split_whitespace().filter_map(|pair| pair.split_once('='));
    [("RUSTFLAGS", flags)].into_iter().chain(others).collect()
}

/// A static busybox under the names of its tools.
fn lay_out_tools(folder: &Path) {
    let bin = folder.join("bin");
    fs::create_dir(&bin).expect("a writable folder");
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.expect("a static busybox: apt-get install busybox-static");
    fs::copy(busybox, bin.join("busybox")).expect("a copy of busybox");
    for tool in TOOLS {
        symlink("busybox", bin.join(tool)).expect("a link");
    }
}

fn lay_out_builder(folder: &Path, binary: &Path) {
    lay_out_tools(folder);
    let cargo = folder.join("bin/cargo");
    fs::write(&cargo, CARGO).expect("a file");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("its mode");
    fs::copy(binary, folder.join("understudy")).expect("a copy of the binary");
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
