//! Returns that somebody was killed over: what was written is in the stage or in the export.

use std::path::Path;
use std::process::{Command, Output};

use super::desk::told;
use super::round::{GUEST, Scene};
use super::server::{Server, Setup, forget_environment};
use super::verify::{verify, verify_listing};
use super::writer::Writer;

/// What exports are called, each in a folder of its own.
pub(crate) const EXPORT: &str = "stage.tar.zst";

/// Where it is whole, it still has everything and can be returned; where it is gone, the export has.
pub(crate) fn check(
    scene: &mut Scene,
    number: usize,
    ended: Option<&Output>,
    guests: &mut [Writer],
    when: &str,
) {
    let desk = &scene.desk;
    let done = ended.is_some_and(|output| output.status.success());
    let is_there = desk.listed(GUEST).is_some();
    assert!(!done || !is_there, "{when}: it was said to be returned, and is there");
    let export = scene.export(number);
    if !is_there || Path::new(&export).exists() {
        check_export(scene, Path::new(&export), guests, when);
    }
    // What is left of one that was cut off is known by its name.
    let folder = Path::new(&export).parent().expect("a file in a folder");
    for entry in std::fs::read_dir(folder).expect("a readable folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(name == EXPORT || name.starts_with(&format!("{EXPORT}.part-")), "{when}: {name} is left");
    }
    if is_there {
        let address = desk.address(GUEST);
        verify(address, guests, when);
        verify_listing(address, guests, when);
        desk.fsck(GUEST);
        let again = scene.export(1_000 + number);
        desk.done(&["return", GUEST, "--keep-export", &again]);
        check_export(scene, Path::new(&again), guests, when);
    }
}

/// An export makes a stage that has everything.
fn check_export(scene: &Scene, export: &Path, guests: &mut [Writer], when: &str) {
    let folder = tempfile::tempdir_in(scene.desk.engine.folder()).expect("a temporary folder");
    let data = folder.path().join("data");
    let mut import = Command::new(env!("CARGO_BIN_EXE_understudy"));
    forget_environment(&mut import);
    let imported = import.arg("import").args([export, &data]).output().expect("the binary was built");
    assert!(imported.status.success(), "{when}: {}", told(&imported));
    let mut setup = Setup::with_buckets(&[super::BUCKET]);
    setup.args.extend(["--anonymous".into(), "read-write".into()]);
    setup.data_dir = Some(data);
    let server = Server::start(&setup);
    verify(server.address(), guests, when);
    verify_listing(server.address(), guests, when);
}
