//! How a server ends: by a signal with what is in flight finished, or not at all beside another.

use std::ffi::OsString;
use std::net::TcpStream;
use std::time::Instant;

use rustix::process::Signal;

use super::http::{Connection, exchange, get};
use super::server::{PATIENCE, Server, Setup};
use super::{text, understudy};

/// A server that anybody may write to, on a folder that outlives it.
fn start(folder: &std::path::Path) -> Server {
    let mut setup = Setup::with_buckets(&["stage"]);
    setup.args.extend(["--anonymous".into(), "read-write".into()]);
    setup.data_dir = Some(folder.to_path_buf());
    Server::start(&setup)
}

#[test]
fn a_signal_lets_what_is_in_flight_finish_and_the_exit_code_is_0() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (signal, key) in [(Signal::TERM, "term"), (Signal::INT, "int")] {
        let mut server = start(folder.path());
        let address = server.address();
        let mut idle = Connection::open(address);
        idle.send(format!("GET /stage HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
            .expect("the server reads");
        assert_eq!(idle.answer(true).expect("an answer").status, 200);
        let mut busy = Connection::open(address);
        let head = format!(
            "PUT /stage/{key} HTTP/1.1\r\nHost: {address}\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n"
        );
        busy.send(head.as_bytes()).expect("the server reads");
        assert_eq!(busy.head().expect("an interim answer").status, 100, "the request is in flight");
        busy.send(b"half").expect("the server reads");

        server.signal(signal);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_ok() {
            assert!(Instant::now() < deadline, "{key}: it still listens");
            std::thread::yield_now();
        }
        busy.send(b"half").expect("the server still reads");
        let answer = busy.answer(true).expect("an answer");
        assert_eq!(answer.status, 200, "{key}: {answer:?}");
        let status = server.wait();
        assert_eq!(status.code(), Some(0), "{key}: {status}");
    }
    let server = start(folder.path());
    for key in ["term", "int"] {
        assert_eq!(get(server.address(), &format!("/stage/{key}")).body, b"halfhalf", "{key}");
    }
}

/// A pipe where a file should be makes its reader wait for ever, as a disk that hangs does.
#[test]
fn a_server_whose_threads_all_hang_ends_at_its_limit_and_says_what_hung() {
    let mut setup = Setup::with_buckets(&["stage"]);
    setup.config = Some("[limits]\nstop_timeout = \"1s\"\n".to_owned());
    setup.environment.push(("TOKIO_WORKER_THREADS", "1".into()));
    let mut server = Server::start(&setup);
    let accounts = server.data_dir().join("service-accounts");
    std::fs::create_dir(&accounts).expect("a writable folder");
    let id = "0".repeat(40);
    let pipe = accounts.join(format!("{id}.json"));
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    let mut stuck = Connection::open(server.address());
    let token = format!("understudy.{id}.9999999999.full.00");
    let head = format!(
        "GET /storage/v1/b?project=p HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
        server.address()
    );
    stuck.send(head.as_bytes()).expect("the server reads");
    // Once somebody waits at the other end, a writer finds a reader.
    let open = || rustix::fs::open(&pipe, rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK, mode);
    let deadline = Instant::now() + PATIENCE;
    let mut writer = open();
    while writer.is_err() {
        assert!(Instant::now() < deadline, "nobody opens the pipe");
        std::thread::yield_now();
        writer = open();
    }
    server.signal(Signal::TERM);
    let ended = server.journal().wait_for(|_, ended| ended.then_some(()));
    ended.expect("it does not end");
    let status = server.wait();
    assert_eq!(status.code(), Some(1), "{status}");
    let log = server.journal().text();
    assert!(log.contains("stopping took too long") && log.contains("\"doing\""), "{log}");
    drop(writer);
}

#[test]
fn a_folder_belongs_to_one_server_at_a_time() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut first = start(folder.path());
    let path = folder.path().to_string_lossy().into_owned();
    let second = understudy(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &path], &[]);
    assert!(!second.status.success(), "{second:?}");
    assert!(text(&second).contains(&path), "{second:?}");
    assert_eq!(get(first.address(), "/stage").status, 200, "the first one serves on");
    first.kill();
    assert_eq!(
        get(start(folder.path()).address(), "/stage").status,
        200,
        "a lock does not outlive its holder"
    );
}

#[test]
fn an_ephemeral_server_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let count = || std::fs::read_dir(folder.path()).expect("a readable folder").count();
    let mut setup = Setup::with_buckets(&["stage"]);
    setup.args.extend(["--ephemeral", "--anonymous", "read-write"].map(OsString::from));
    setup.environment.push(("TMPDIR", folder.path().into()));
    let mut server = Server::start(&setup);
    let body = vec![b'x'; 1_000_000];
    let put = exchange(server.address(), "PUT /stage/key HTTP/1.1\r\n", &body).expect("an answer");
    assert_eq!(put.status, 200, "{put:?}");
    assert!(get(server.address(), "/stage/key").body == body);
    assert!(count() > 0, "its data are where temporary files go");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(count(), 0, "files left");
}
