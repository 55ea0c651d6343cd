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

/// What the steps of the Dockerfile call.
const TOOLS: [&str; 8] = ["sh", "uname", "mkdir", "cp", "sed", "head", "printf", "echo"];

/// The tag of the image; it is built by the first test that asks.
pub(crate) fn tag() -> &'static str {
    static TAG: OnceLock<String> = OnceLock::new();
    TAG.get_or_init(|| std::env::var("UNDERSTUDY_TEST_IMAGE").unwrap_or_else(|_| build()))
}

fn build() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (builder, tag) = ("understudy-test-builder".to_owned(), "understudy:test".to_owned());
    let folder = tempfile::tempdir().expect("a temporary folder");
    lay_out_builder(folder.path(), &binary(root));
    docker(&["build", "--quiet", "--tag", &builder, path(folder.path())]);
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
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--bin", "understudy", "--target", &target])
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .current_dir(root)
        .output()
        .expect("cargo runs this test");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    folder.join(target).join("release/understudy")
}

fn lay_out_builder(folder: &Path, binary: &Path) {
    let bin = folder.join("bin");
    fs::create_dir(&bin).expect("a writable folder");
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.expect("a static busybox: apt-get install busybox-static");
    fs::copy(busybox, bin.join("busybox")).expect("a copy of busybox");
    for tool in TOOLS {
        symlink("busybox", bin.join(tool)).expect("a link");
    }
    fs::write(bin.join("cargo"), CARGO).expect("a file");
    fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).expect("its mode");
    fs::copy(binary, folder.join("understudy")).expect("a copy of the binary");
    fs::write(folder.join("Dockerfile"), "FROM scratch\nCOPY . /\nENV PATH=/bin\n").expect("a file");
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
