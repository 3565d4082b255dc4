//! A pod: its network, a capture on it, and its containers with a puppet in each.

use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use agent_core::signal::Signal;
use anyhow::Result;
use gracewatch_tests::rig::cgroup::Cgroup;
use gracewatch_tests::rig::clock::Span;
use gracewatch_tests::rig::kubelet::send;
use gracewatch_tests::rig::launch::{Ended, Launch, Launched};
use gracewatch_tests::rig::network::{DEVICE, Namespace, Pair, SERVER};
use gracewatch_tests::rig::puppet::{Order, Puppet};
use gracewatch_tests::rig::stage::Via;
use gracewatch_tests::rig::toolbox::Toolbox;

use crate::capture::{Capture, Packet};
use crate::case::Stage;

/// The port that servers listen on.
pub(crate) const PORT: u16 = 8080;
/// More than any case has connections waiting.
const BACKLOG: i32 = 64;
/// Until the agent follows a new container and its main process. Nothing tells so from outside; it is a matter of
/// milliseconds, which a busy machine makes longer.
const FOLLOWED: Duration = Duration::from_millis(700);
/// Between an edge of the termination and what comes before and after it, so that the capture tells on which side of it
/// each segment is.
const APART: Duration = Duration::from_millis(10);
/// How long a process may take that is told to exit.
const EXIT_LIMIT: Duration = Duration::from_secs(20);

/// Where containers and clients are.
#[derive(Debug)]
enum Net {
    Pair(Pair),
    /// Both in the machine's own namespace, on the loopback device; the port is the server's.
    Machine(Namespace, u16),
}

/// A pod that is being captured.
#[derive(Debug)]
pub(crate) struct Pod<'a> {
    stage: Stage<'a>,
    net: Net,
    capture: Capture,
}

impl<'a> Pod<'a> {
    /// A pod with a network of its own.
    pub(crate) fn new(stage: &Stage<'a>) -> Result<Self> {
        let tools = &stage.rig.tools;
        let pair = Pair::new(&tools.join("ip"))?;
        let file = stage
            .rig
            .toolbox
            .folder()
            .join(format!("{}.pcap", stage.name));
        let capture = Capture::start(tools, &pair.client, (DEVICE, "tcp"), file)?;
        Ok(Self {
            stage: *stage,
            net: Net::Pair(pair),
            capture,
        })
    }

    /// A pod with the machine's network, which serves this port.
    pub(crate) fn of_the_machine(stage: &Stage<'a>, port: u16) -> Result<Self> {
        let here = Namespace::here()?;
        let file = stage
            .rig
            .toolbox
            .folder()
            .join(format!("{}.pcap", stage.name));
        let filter = format!("tcp port {port}");
        let capture = Capture::start(&stage.rig.tools, &here, ("lo", &filter), file)?;
        Ok(Self {
            stage: *stage,
            net: Net::Machine(here, port),
            capture,
        })
    }

    /// The container of the case, with a puppet that listens at [`PORT`], for both families.
    pub(crate) fn server(&self) -> Result<Server<'_>> {
        let mut server = self.puppet("")?;
        server.listen(PORT, BACKLOG)?;
        Ok(server)
    }

    /// A container with a puppet.
    pub(crate) fn puppet(&self, suffix: &str) -> Result<Server<'_>> {
        let name = self.stage.key(suffix);
        let toolbox = &self.stage.rig.toolbox;
        let cgroup = self.stage.rig.folder.make(&name)?;
        let launch = self.launch(&cgroup, Puppet::argv(toolbox, &name));
        let (main, puppet) = Puppet::start(toolbox, &name, &launch)?;
        sleep(FOLLOWED);
        let container = Container::new(toolbox, cgroup, main);
        Ok(Server { container, puppet })
    }

    /// A container with another program, which is not ready yet.
    pub(crate) fn container(&self, argv: &[OsString]) -> Result<Container<'_>> {
        let cgroup = self.stage.rig.folder.make(self.stage.name)?;
        let main = self.launch(&cgroup, argv).start(&self.stage.rig.toolbox)?;
        Ok(Container::new(&self.stage.rig.toolbox, cgroup, main))
    }

    /// A process in a container of this pod.
    fn launch(&self, cgroup: &Cgroup, argv: impl AsRef<[OsString]>) -> Launch {
        let launch = Launch::new(cgroup, argv.as_ref());
        match &self.net {
            Net::Pair(pair) => launch.in_network(pair.pod.path()),
            Net::Machine(..) => launch,
        }
    }

    /// Where clients are.
    pub(crate) fn outside(&self) -> &Namespace {
        match &self.net {
            Net::Pair(pair) => &pair.client,
            Net::Machine(here, _) => here,
        }
    }

    /// Ends the capture.
    pub(crate) fn packets(self) -> Result<Vec<Packet>> {
        self.capture.stop()
    }

    /// Connects a client.
    pub(crate) fn connect(&self, to: SocketAddr) -> Result<std::io::Result<TcpStream>> {
        self.outside().connect(to)
    }

    /// Where clients reach [`PORT`], by IPv4.
    pub(crate) fn address(&self) -> SocketAddr {
        match self.net {
            Net::Pair(_) => (SERVER[0], PORT).into(),
            Net::Machine(_, port) => (Ipv4Addr::LOCALHOST, port).into(),
        }
    }

    /// Tells the server's side of a connection: the pod's, or on the machine's own network the port.
    pub(crate) fn side(&self) -> impl Fn(SocketAddr) -> bool + use<> {
        let port = match self.net {
            Net::Pair(_) => None,
            Net::Machine(_, port) => Some(port),
        };
        move |address: SocketAddr| {
            port.map_or_else(
                || SERVER.contains(&address.ip()),
                |port| port == address.port(),
            )
        }
    }
}

/// A container of a pod.
#[derive(Debug)]
pub(crate) struct Container<'a> {
    toolbox: &'a Toolbox,
    pub(crate) cgroup: Cgroup,
    pub(crate) main: Launched,
    /// When the stop signal was sent, and when SIGKILL.
    pub(crate) signal: Option<Span>,
    pub(crate) kill: Option<Span>,
}

impl<'a> Container<'a> {
    fn new(toolbox: &'a Toolbox, cgroup: Cgroup, main: Launched) -> Self {
        Self {
            toolbox,
            cgroup,
            main,
            signal: None,
            kill: None,
        }
    }

    /// Sends a stop signal.
    pub(crate) fn stop(&mut self, signal: Signal) -> Result<()> {
        sleep(APART);
        let sent = send(self.toolbox, self.main.pid(), signal, Via::Pidfd)?;
        self.signal = Some(sent);
        sleep(APART);
        Ok(())
    }

    /// Sends SIGKILL and waits for the end.
    pub(crate) fn kill(&mut self) -> Result<Ended> {
        sleep(APART);
        let sent = send(self.toolbox, self.main.pid(), Signal::KILL, Via::Pidfd)?;
        self.kill = Some(sent);
        self.ended()
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> Result<Ended> {
        self.main.wait_end(EXIT_LIMIT)
    }
}

/// A container with a puppet.
#[derive(Debug)]
pub(crate) struct Server<'a> {
    pub(crate) container: Container<'a>,
    puppet: Puppet,
}

impl Server<'_> {
    /// Listens for both families.
    pub(crate) fn listen(&mut self, port: u16, backlog: i32) -> Result<()> {
        let at = (Ipv6Addr::UNSPECIFIED, port).into();
        self.obey(Order::Listen { at, backlog })
    }

    /// Gives it an order.
    pub(crate) fn obey(&mut self, order: Order) -> Result<()> {
        self.puppet.obey(order)
    }

    /// Sends SIGTERM, and waits until it knows.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        self.container.stop(Signal::TERM)?;
        self.puppet.log.wait_for("signal", EXIT_LIMIT)?;
        Ok(())
    }

    /// Lets it exit.
    pub(crate) fn exit(&mut self) -> Result<Ended> {
        sleep(APART);
        self.obey(Order::Exit)?;
        self.container.ended()
    }
}
