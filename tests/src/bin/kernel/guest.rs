//! PID 1 of a virtual machine: mounts what a machine has, runs the tests in a child, collects orphans, powers off.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::mount::{MountFlags, mount};
use rustix::net::{AddressFamily, SendFlags, SocketType, netlink, sendto, socket};
use rustix::system::{RebootCommand, reboot};

/// What is mounted: source and type, place, options.
const MOUNTS: [(&str, &str, &str); 7] = [
    ("proc", "/proc", ""),
    ("sysfs", "/sys", ""),
    ("devtmpfs", "/dev", ""),
    ("devpts", "/dev/pts", "ptmxmode=666"),
    ("cgroup2", "/sys/fs/cgroup", ""),
    ("tracefs", "/sys/kernel/tracing", ""),
    ("tmpfs", "/tmp", "mode=1777"),
];

/// Random stops at a time: one emulated processor is slow, and most of them wait.
const JOBS: &str = "16";

/// Everything that a guest does, up to its end.
pub(crate) fn run_guest() -> ExitCode {
    let code = match prepare().and_then(|()| run_tests()) {
        Ok(code) => code,
        Err(error) => {
            println!("error: {error:#}");
            1
        }
    };
    println!("TEST_RC={code}");
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        println!("cannot power off: {error}");
    }
    ExitCode::FAILURE
}

fn prepare() -> Result<()> {
    for (kind, place, options) in MOUNTS {
        fs::create_dir_all(place).with_context(|| format!("cannot make {place}"))?;
        let options = std::ffi::CString::new(options)?;
        let mounted = mount(
            kind,
            place,
            kind,
            MountFlags::empty(),
            Some(options.as_c_str()),
        );
        match mounted {
            Ok(()) => {}
            // A kernel that mounts /dev by itself, or one without tracefs, which nothing but `check` asks for.
            Err(error) if matches!(kind, "devtmpfs" | "tracefs") => {
                println!("{place} is not mounted: {error}");
            }
            Err(error) => return Err(error).with_context(|| format!("cannot mount {place}")),
        }
    }
    loopback_up().context("cannot bring up the loopback interface")?;
    // Children of the root may have memory limits; a kernel without the controller says so in its scenario.
    if let Err(error) = fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory") {
        println!("no memory controller: {error}");
    }
    Ok(())
}

/// `ip link set lo up`: a `RTM_NEWLINK` for interface 1 by netlink, `struct nlmsghdr` and `struct ifinfomsg`.
/// <https://man7.org/linux/man-pages/man7/rtnetlink.7.html>
fn loopback_up() -> Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST: u16 = 1;
    const IFF_UP: u32 = 1;
    let mut message = Vec::new();
    message.extend(32_u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]); // sequence, port
    message.extend([0; 4]); // family, padding, type
    message.extend(1_u32.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    // Protocol 0 of netlink is NETLINK_ROUTE.
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    sendto(
        &socket,
        &message,
        SendFlags::empty(),
        &netlink::SocketAddrNetlink::new(0, 0),
    )?;
    Ok(())
}

/// Runs this program again as an ordinary process, and waits for it and for everybody else's orphans.
fn run_tests() -> Result<i32> {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    println!("VM-FACT release={release}");
    let words =
        fs::read_to_string("/proc/cmdline").context("cannot read the kernel command line")?;
    let mut tests = tests_of(&words);
    let tests = tests.spawn().context("cannot start the tests")?;
    let tests = Pid::from_raw(i32::try_from(tests.id())?);
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == tests => return Ok(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == tests => {
                println!("the tests were ended by {signal}");
                return Ok(1);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot wait for the tests"),
        }
    }
}

/// The command for what the kernel command line asks for: random stops, or scenarios.
fn tests_of(words: &str) -> Command {
    let word = |name: &str| {
        let mut words = words.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let mut tests = match word("gracewatch.stops") {
        Some(stops) => {
            let mut fuzz = Command::new("/fuzz");
            fuzz.args(["--stops", stops, "--jobs", JOBS, "--no-shrink"]);
            fuzz
        }
        None => Command::new("/init"),
    };
    tests.arg("--guest");
    if let Some(seed) = word("gracewatch.seed") {
        tests.args(["--seed", seed]);
    }
    if let Some(filter) = word("gracewatch.filter") {
        tests.args(["--filter", filter]);
    }
    tests
}
