//! Network namespaces, and the veth pair between a pod's and its client's, as network plugins make them.

use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sched::{CloneFlags, setns, unshare};

/// The pod's addresses, of either family; each pair of namespaces has a network of its own, so all have the same.
pub const SERVER: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)),
];
/// Its client's.
pub const CLIENT: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];
/// Name of either end of the pair.
pub const DEVICE: &str = "eth0";
/// How long a connection may take that is answered.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A network namespace; it goes when nobody is in it and this is dropped.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// Makes one, with nothing up.
    pub fn new() -> Result<Self> {
        on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .context("cannot make a network namespace; be root")?;
            Self::current()
        })?
    }

    /// The one that this thread is in.
    pub fn current() -> Result<Self> {
        let file = File::open("/proc/thread-self/ns/net")
            .context("cannot open this thread's network namespace")?;
        Ok(Self(file))
    }

    /// A path by which other processes find it, as long as this is kept.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }

    /// Does something in it, on a thread of its own. Sockets and processes made there stay there.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T> {
        on_a_thread(|| {
            setns(&self.0, CloneFlags::CLONE_NEWNET)
                .context("cannot enter the network namespace")?;
            Ok(act())
        })?
    }

    /// Connects from it.
    pub fn connect(&self, to: SocketAddr) -> Result<std::io::Result<TcpStream>> {
        self.run(|| TcpStream::connect_timeout(&to, CONNECT_LIMIT))
    }

    /// Gives commands to `ip` in it, one a line.
    fn run_ip(&self, ip: &Path, commands: &str) -> Result<()> {
        let child = self.run(|| {
            let mut command = Command::new(ip);
            command.args(["-batch", "-"]);
            command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()
        })?;
        let mut child = child.with_context(|| format!("cannot start {}", ip.display()))?;
        let mut stdin = child.stdin.take().context("no input")?;
        stdin.write_all(commands.as_bytes())?;
        drop(stdin);
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "`ip` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        Ok(())
    }
}

/// A pod's namespace, its client's, and the veth pair between them.
#[derive(Debug)]
pub struct Pair {
    /// Where the containers are.
    pub pod: Namespace,
    /// Where the clients are.
    pub client: Namespace,
}

impl Pair {
    /// Makes both, with `ip` from this file.
    pub fn new(ip: &Path) -> Result<Self> {
        let pair = Self {
            pod: Namespace::new()?,
            client: Namespace::new()?,
        };
        let peer = pair.client.path();
        let veth = format!(
            "link add {DEVICE} type veth peer name {DEVICE} netns {}\n",
            peer.display()
        );
        pair.pod.run_ip(ip, &(veth + &link_up_commands(SERVER)))?;
        pair.client.run_ip(ip, &link_up_commands(CLIENT))?;
        Ok(pair)
    }
}

fn link_up_commands(addresses: [IpAddr; 2]) -> String {
    let [v4, v6] = addresses;
    format!(
        "link set lo up\naddress add {v4}/24 dev {DEVICE}\naddress add {v6}/64 dev {DEVICE} nodad\nlink set {DEVICE} up\n"
    )
}

/// Which namespace a thread is in cannot be taken back in safety: so it ends.
fn on_a_thread<T: Send>(act: impl FnOnce() -> T + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(act).join())
        .map_err(|_panic| anyhow!("it panicked in a network namespace; the message is above"))
}
