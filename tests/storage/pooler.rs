//! PgBouncer in front of PostgreSQL: a session each works, a transaction each is refused.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use frontdesk::db::{Store, StoreError};

use crate::fixture::{Fixture, config, new, note, write};

/// A PgBouncer on a port of its own; dropping it kills it.
struct Pooler {
    child: Child,
    url: String,
    /// The child's standard error; our end must stay open.
    _log: BufReader<ChildStderr>,
    _folder: tempfile::TempDir,
}

impl Pooler {
    fn start(fixture: &Fixture, mode: &str) -> Self {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
        let (_, place) = fixture.config.url.split_once('@').expect("a user");
        let (server, database) = place.split_once('/').expect("a database");
        let (host, server_port) = server.split_once(':').expect("a port");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("a mode");
        let file = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n{database} = host={host} port={server_port} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\nunix_socket_dir =\n\
             pool_mode = {mode}\n"
        );
        std::fs::write(&file, settings).expect("a file");
        let installed = Path::new("/usr/sbin/pgbouncer");
        let program = if installed.exists() { installed } else { Path::new("pgbouncer") };
        let mut command = Command::new(program);
        // It refuses to run as root.
        if std::fs::metadata("/proc/self").expect("a process").uid() == 0 {
            command.args(["-u", "postgres"]);
        }
        let child = command.arg(&file).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("PgBouncer starts: scripts/test installs it");
        let mut log = BufReader::new(child.stderr.take().expect("its log"));
        let mut said = String::new();
        // By then it listens.
        while !said.contains("process up") {
            assert!(log.read_line(&mut said).expect("its log") > 0, "PgBouncer ended: {said}");
        }
        let url = format!("postgres://postgres@127.0.0.1:{port}/{database}");
        Self { child, url, _log: log, _folder: folder }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_of_sessions_works() {
    let fixture = Fixture::postgres().await;
    let (kim, chat) = fixture.customer("kim").await;
    let pooler = Pooler::start(&fixture, "session");
    let store = Store::connect(&config(pooler.url.clone())).await.expect("connect");
    store.ping().await.expect("an answer");
    let mut writer = store.writer().await.expect("a writer");
    new(&write(&mut writer, vec![note(chat, kim, "hello")]).await[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_of_less_than_sessions_is_refused() {
    let fixture = Fixture::postgres().await;
    for mode in ["transaction", "statement"] {
        let pooler = Pooler::start(&fixture, mode);
        let refused = Store::connect(&config(pooler.url.clone())).await.err();
        let Some(StoreError::Setup(said)) = refused else { panic!("{mode}: {refused:?}") };
        assert!(said.contains("pool_mode = session"), "{said}");
    }
}
