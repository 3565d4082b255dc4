//! Servers of Debian, stopped while wrk loads them.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_core::config::Selector;
use agent_core::signal::Signal;
use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal as Sent, kill_process};

use crate::capture::{Edges, Flows};
use crate::case::{Case, Stage};
use crate::pod::{FOLLOWED, PORT, Pod};
use crate::row::Others;
use crate::told::Told;
use crate::verdict::Verdict;

/// The one whose stop signal is SIGQUIT; the agent is told so.
const GRACEFUL_NGINX: &str = "nginx_sigquit";

pub(crate) const ALL: &[Case] = &[
    Case {
        name: GRACEFUL_NGINX,
        what: "nginx, gracefully, loaded by wrk with keep-alive",
        run: |stage, verdict| under_load(stage, verdict, &nginx_command(stage)?, graceful()?),
    },
    Case {
        name: "nginx_sigterm",
        what: "nginx, fast, loaded by wrk with keep-alive",
        run: |stage, verdict| under_load(stage, verdict, &nginx_command(stage)?, Signal::TERM),
    },
    Case {
        name: "gunicorn_sigterm",
        what: "gunicorn with two workers, loaded by wrk, a connection for each request",
        run: |stage, verdict| under_load(stage, verdict, &gunicorn(stage)?, Signal::TERM),
    },
];

/// How long the load goes on before the stop signal, and after the exit, when every attempt is refused.
const BEFORE: Duration = Duration::from_millis(1200);
const AFTER: Duration = Duration::from_millis(150);
/// How long a segment may take from the capture to the server's kernel, or back.
const SLACK: Duration = Duration::from_millis(1);
/// How long a server may take to listen.
const LISTEN_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// What the agent is told.
pub(super) fn selector(path: &str) -> Result<Selector> {
    Ok(Selector {
        cgroup: format!("{path}/{GRACEFUL_NGINX}"),
        grace: None,
        stop_signal: Some(graceful()?),
        pre_stop: None,
    })
}

/// SIGQUIT, with which Debian's unit and the images of nginx stop it.
pub(super) fn graceful() -> Result<Signal> {
    let number = Sent::QUIT.as_raw().unsigned_abs();
    Signal::try_from(number).context("no SIGQUIT")
}

/// Whatever happens under load, the capture has it.
fn under_load(
    stage: &Stage<'_>,
    verdict: &mut Verdict,
    argv: &[OsString],
    signal: Signal,
) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.container(argv)?;
    wait_listening(&pod)?;
    sleep(FOLLOWED);
    let load = Load::start(stage, &pod)?;
    sleep(BEFORE);
    server.stop(signal)?;
    server.wait_for_exit()?;
    sleep(AFTER);
    let said = load.stop()?;
    let told = Told::end_and_wait(stage, &server)?;
    let ours = pod.is_server_side();
    let edges = Edges {
        slack: SLACK,
        ..told.phase_edges()?
    };
    let observed = Flows::from_packets(&pod.packets()?, ours).observed(edges);
    let others = Others {
        observed: &observed,
        expected: None,
        met: None,
    };
    verdict.compare(&told, others);
    verdict.require(
        "some connections were open at the stop signal or accepted after it",
        told.report_numbers.at_stop_signal + told.report_numbers.accepted_after > 0,
    );
    verdict.require(
        "some attempts were refused",
        told.report_numbers.refused > 0,
    );
    if observed.too_late > 0 {
        verdict.notes.push(format!(
            "{} handshakes were completed when the listener was closed already: reset, and never accepted",
            observed.too_late
        ));
    }
    if observed.of_old > 0 {
        verdict.notes.push(format!(
            "the clients used ports again and sent {} resets to what was left of connections that had ended (TIME_WAIT)",
            observed.of_old
        ));
    }
    verdict.notes.push(said);
    Ok(())
}

/// Waits for the listener in the kernel's table: an attempt that is refused would be counted.
pub(super) fn wait_listening(pod: &Pod<'_>) -> Result<()> {
    let listener = format!(":{PORT:04X} 00000000:0000 0A ");
    let started = Instant::now();
    loop {
        let table = pod
            .inside()
            .run(|| fs::read_to_string("/proc/thread-self/net/tcp"))??;
        if table.contains(&listener) {
            return Ok(());
        }
        ensure!(
            started.elapsed() < LISTEN_LIMIT,
            "the server does not listen after {LISTEN_LIMIT:?}"
        );
        sleep(POLL);
    }
}

/// nginx with its files in a folder of the case.
pub(super) fn nginx_command(stage: &Stage<'_>) -> Result<Vec<OsString>> {
    let folder = folder(stage)?;
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {what};\n"))
        .concat();
    let config = format!(
        "daemon off;\nuser root;\nworker_processes 2;\npid nginx.pid;\nerror_log error.log;\n\
         events {{ worker_connections 512; }}\n\
         http {{\naccess_log off;\nkeepalive_requests 1000000;\n{temporary}\
         server {{ listen {PORT}; location / {{ return 200 'an answer'; }} }}\n}}\n"
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, config).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(vec![
        stage.rig.tools.join("nginx").into(),
        "-p".into(),
        folder.clone().into(),
        "-c".into(),
        path.into(),
        "-e".into(),
        folder.join("error.log").into(),
    ])
}

/// gunicorn with the smallest of applications.
fn gunicorn(stage: &Stage<'_>) -> Result<Vec<OsString>> {
    const APPLICATION: &str = "\
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'an answer']
";
    let folder = folder(stage)?;
    fs::write(folder.join("answers.py"), APPLICATION).context("cannot write the application")?;
    let mut argv: Vec<OsString> = vec![stage.rig.tools.join("gunicorn").into()];
    let options = ["--workers", "2", "--log-level", "error", "--bind"];
    argv.extend(options.map(OsString::from));
    argv.push(format!("0.0.0.0:{PORT}").into());
    for option in ["--chdir", "--worker-tmp-dir"] {
        argv.push(option.into());
        argv.push(folder.clone().into());
    }
    argv.push("answers:application".into());
    Ok(argv)
}

fn folder(stage: &Stage<'_>) -> Result<PathBuf> {
    let folder = stage.rig.toolbox.folder().join(stage.name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// A running wrk.
struct Load(Child);

impl Load {
    fn start(stage: &Stage<'_>, pod: &Pod<'_>) -> Result<Self> {
        let mut command = Command::new(stage.rig.tools.join("wrk"));
        command
            .args(["-t", "1", "-c", "20", "-d", "60"])
            .arg(format!("http://{}/", pod.address()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let child = pod.outside().run(|| command.spawn())?;
        Ok(Self(child.context("cannot start wrk")?))
    }

    /// Ends it; the line in which it says what it met.
    fn stop(mut self) -> Result<String> {
        kill_process(Pid::from_child(&self.0), Sent::INT).context("wrk ended by itself")?;
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.0.stdout.take().context("no output")?, &mut said)?;
        let status = self.0.wait()?;
        ensure!(status.success(), "wrk failed ({status}): {said}");
        let line = |part: &str| said.lines().find(|line| line.contains(part));
        let requests = line(" requests in ").unwrap_or("it said nothing of requests");
        let errors = line("Socket errors").unwrap_or("it met no errors");
        Ok(format!("wrk: {}; {}", requests.trim(), errors.trim()))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
