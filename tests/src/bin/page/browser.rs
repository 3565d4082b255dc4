//! The browser as a process, with a profile of its own that is removed with it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result};

/// No sandbox, since the tests may run as root; and nothing that the browser does for itself over the network.
const OPTIONS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--lang=en-US",
    "--remote-debugging-port=0",
];
/// What it says before the address of its protocol.
const LISTENS: &str = "DevTools listening on ";

/// A running browser; dropping it ends it.
pub(crate) struct Browser {
    process: Child,
    profile: PathBuf,
    pub(crate) address: SocketAddr,
    /// Of its protocol.
    pub(crate) url: String,
}

impl Browser {
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let profile = std::env::temp_dir().join(format!("gracewatch-page-{}", std::process::id()));
        std::fs::create_dir_all(&profile)
            .with_context(|| format!("cannot make {}", profile.display()))?;
        let mut process = Command::new(program)
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let words = process
            .stderr
            .take()
            .map(BufReader::new)
            .context("no output")?;
        let mut browser = Self {
            process,
            profile,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            url: String::new(),
        };
        let mut said = Vec::new();
        let mut lines = words.lines().map_while(std::result::Result::ok);
        let url = lines.by_ref().find_map(|line| {
            let url = line.strip_prefix(LISTENS).map(str::to_owned);
            said.push(line);
            url
        });
        browser.url =
            url.with_context(|| format!("the browser ended and said: {}", said.join("\n")))?;
        browser.address = browser
            .url
            .trim_start_matches("ws://")
            .split('/')
            .next()
            .and_then(|address| address.parse().ok())
            .with_context(|| format!("the browser listens at {}", browser.url))?;
        // A full pipe would stop it.
        thread::spawn(move || lines.for_each(drop));
        Ok(browser)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        // Its helpers end a moment later, and write meanwhile.
        for _ in 0..50 {
            if std::fs::remove_dir_all(&self.profile).is_ok() {
                return;
            }
            thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
