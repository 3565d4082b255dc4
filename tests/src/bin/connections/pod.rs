//! A pod: its network, a capture on it, and its containers with a puppet in each.

use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use agent_core::signal::Signal;
use anyhow::{Context as _, Result};
use gracewatch_tests::rig::cgroup::Cgroup;
use gracewatch_tests::rig::clock::Span;
use gracewatch_tests::rig::kubelet::{send_as_runtime, send_signal};
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
pub(crate) const BACKLOG: i32 = 64;
/// Until the agent follows a new container and its main process. Nothing tells so from outside; it is a matter of
/// milliseconds, which a busy machine makes longer.
pub(crate) const FOLLOWED: Duration = Duration::from_millis(700);
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
    capture: Option<Capture>,
}

impl<'a> Pod<'a> {
    /// A pod with a network of its own.
    pub(crate) fn new(stage: &Stage<'a>) -> Result<Self> {
        let mut pod = Self::without_capture(stage)?;
        let capture = stage.capture(pod.outside(), (DEVICE, "tcp"))?;
        pod.capture = Some(capture);
        Ok(pod)
    }

    /// The same, with more traffic than a capture could follow.
    pub(crate) fn without_capture(stage: &Stage<'a>) -> Result<Self> {
        Ok(Self {
            stage: *stage,
            net: Net::Pair(Pair::new(&stage.rig.tools.join("ip"))?),
            capture: None,
        })
    }

    /// A pod with the machine's network, which serves this port.
    pub(crate) fn of_the_machine(stage: &Stage<'a>, port: u16) -> Result<Self> {
        let here = Namespace::current()?;
        let capture = stage.capture(&here, ("lo", &format!("tcp port {port}")))?;
        Ok(Self {
            stage: *stage,
            net: Net::Machine(here, port),
            capture: Some(capture),
        })
    }

    /// The container of the case, with a puppet that listens for both families.
    pub(crate) fn server(&self) -> Result<Server<'a>> {
        let mut server = self.puppet("")?;
        server.listen(self.address().port(), BACKLOG)?;
        Ok(server)
    }

    /// A container with a puppet.
    pub(crate) fn puppet(&self, suffix: &str) -> Result<Server<'a>> {
        puppet_in(&self.stage, suffix, |launch| self.in_network(launch))
    }

    /// A container with another program, which is not ready yet.
    pub(crate) fn container(&self, argv: &[OsString]) -> Result<Container<'a>> {
        let cgroup = self.stage.rig.folder.create_cgroup(self.stage.name)?;
        let launch = self.in_network(Launch::new(&cgroup, argv));
        let main = launch.start(&self.stage.rig.toolbox)?;
        Ok(Container::new(&self.stage.rig.toolbox, cgroup, main))
    }

    /// Starts a hook in a container of this pod.
    pub(crate) fn start_hook(
        &self,
        container: &Container<'_>,
        argv: &[String],
    ) -> Result<Launched> {
        let launch = Launch::new(&container.cgroup, argv).joining(container.main.pid());
        self.in_network(launch).start(container.toolbox)
    }

    /// Puts a process into the pod's network.
    fn in_network(&self, launch: Launch) -> Launch {
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

    /// Where the containers are.
    pub(crate) fn inside(&self) -> &Namespace {
        match &self.net {
            Net::Pair(pair) => &pair.pod,
            Net::Machine(here, _) => here,
        }
    }

    /// Ends the capture.
    pub(crate) fn packets(self) -> Result<Vec<Packet>> {
        self.capture.context("nothing was captured")?.stop()
    }

    /// Connects a client.
    pub(crate) fn connect(&self, to: SocketAddr) -> Result<std::io::Result<TcpStream>> {
        self.outside().connect(to)
    }

    /// Where clients reach the server, by IPv4.
    pub(crate) fn address(&self) -> SocketAddr {
        match self.net {
            Net::Pair(_) => (SERVER[0], PORT).into(),
            Net::Machine(_, port) => (Ipv4Addr::LOCALHOST, port).into(),
        }
    }

    /// Tells the server's side of a connection: the pod's, or on the machine's own network the port.
    pub(crate) fn is_server_side(&self) -> impl Fn(SocketAddr) -> bool + use<> {
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

/// A puppet in a network namespace of its own, in which there is nothing.
pub(crate) fn without_network<'a>(stage: &Stage<'a>) -> Result<(Namespace, Server<'a>)> {
    let namespace = Namespace::new()?;
    let server = puppet_in(stage, "", |launch| launch.in_network(namespace.path()))?;
    Ok((namespace, server))
}

/// A container with a puppet, in the place where `place` puts it.
fn puppet_in<'a>(
    stage: &Stage<'a>,
    suffix: &str,
    place: impl Fn(Launch) -> Launch,
) -> Result<Server<'a>> {
    let name = stage.name_with(suffix);
    let toolbox = &stage.rig.toolbox;
    let cgroup = stage.rig.folder.create_cgroup(&name)?;
    let launch = place(Launch::new(&cgroup, Puppet::command_line(toolbox, &name)));
    let (main, puppet) = Puppet::start(toolbox, &name, &launch)?;
    sleep(FOLLOWED);
    let container = Container::new(toolbox, cgroup, main);
    Ok(Server { container, puppet })
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
        let sent = send_as_runtime(self.toolbox, self.main.pid(), signal)?;
        self.signal = Some(sent);
        sleep(APART);
        Ok(())
    }

    /// Sends a signal that stops nothing.
    pub(crate) fn disturb(&self, signal: Signal) -> Result<()> {
        sleep(APART);
        send_signal(self.toolbox, self.main.pid(), signal, Via::Pidfd)?;
        sleep(APART);
        Ok(())
    }

    /// Sends SIGKILL and waits for the end.
    pub(crate) fn kill_and_wait(&mut self) -> Result<Ended> {
        sleep(APART);
        let sent = send_as_runtime(self.toolbox, self.main.pid(), Signal::KILL)?;
        self.kill = Some(sent);
        self.wait_for_exit()
    }

    /// Waits for its end.
    pub(crate) fn wait_for_exit(&mut self) -> Result<Ended> {
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
        self.send_order(Order::Listen { at, backlog })
    }

    /// Gives it an order.
    pub(crate) fn send_order(&mut self, order: Order) -> Result<()> {
        self.puppet.send_order(order)
    }

    /// Sends SIGTERM, and waits until it knows.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        self.container.stop(Signal::TERM)?;
        self.puppet.log.wait_for("signal", EXIT_LIMIT)?;
        Ok(())
    }

    /// Sends SIGQUIT as the stop signal, and waits until it knows.
    pub(crate) fn send_quit(&mut self) -> Result<()> {
        self.container.stop(quit_signal()?)?;
        self.puppet.log.wait_for("quit", EXIT_LIMIT)?;
        Ok(())
    }

    /// Sends SIGQUIT as one who asks for a dump does, and waits until it knows.
    pub(crate) fn send_dump(&self) -> Result<()> {
        self.container.disturb(quit_signal()?)?;
        self.puppet.log.wait_for("quit", EXIT_LIMIT)?;
        Ok(())
    }

    /// Sends SIGTERM, waits until it knows, and lets it exit.
    pub(crate) fn terminate_and_exit(&mut self) -> Result<()> {
        self.terminate()?;
        self.order_exit()?;
        Ok(())
    }

    /// Lets it exit.
    pub(crate) fn order_exit(&mut self) -> Result<Ended> {
        sleep(APART);
        self.send_order(Order::Exit)?;
        self.container.wait_for_exit()
    }
}

fn quit_signal() -> Result<Signal> {
    Signal::try_from(3).context("no SIGQUIT")
}
