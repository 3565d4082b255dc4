//! What the running kernel looks like: offsets, and the hooks in the form that they have here.

use agent_common::global::{
    ACTION_SIZE, COUNTS_SOCKETS, HAS_GROUP_DEAD, HAS_RESET_REASON, Hook, MEMBERS, Member, PROGRAMS,
    Program, SOCK_ADDRESS6, SOCK_CGROUP_IS_TAGGED, SOCKET_MEMBERS, UPID_SIZE,
};

use super::btf::{Argument, Btf, BtfError};
use super::tcp_features::TcpVisibility;

/// Everything that is read from BTF.
pub(super) struct Layout {
    /// The values of the object's globals.
    pub(super) globals: Vec<(&'static str, u32)>,
    /// Programs that were written for the form that their hook has, and whether it exists.
    pub(super) programs: Vec<(Program, Result<(), String>)>,
    /// BTF with nothing but the hooks.
    pub(super) hooks: Vec<u8>,
    /// What the hooks of sockets tell.
    pub(super) tcp_features: TcpVisibility,
}

impl Layout {
    /// # Errors
    /// If there is no BTF, or it lacks something that is required.
    pub(super) fn of_kernel() -> Result<Self, BtfError> {
        let btf = Btf::of_kernel()?;
        let mut globals = vec![
            (UPID_SIZE, btf.struct_size("upid")?),
            (ACTION_SIZE, btf.struct_size("k_sigaction")?),
        ];
        for member in MEMBERS {
            globals.push(offset(&btf, member)?);
        }
        let address6 = or_absent(btf.offset("sock", &["__sk_common", "skc_v6_daddr"]))?;
        globals.push((SOCK_ADDRESS6, address6.unwrap_or(0)));
        let exit = btf.tracepoint("sched_process_exit")?;
        globals.push((HAS_GROUP_DEAD, u32::from(exit.len() > 1)));

        let sockets = Sockets::from_btf(&btf)?;
        sockets.add_globals(&mut globals);

        let mut programs = Vec::new();
        for (program, hook) in programs_of(&btf) {
            let fits = match (hook, &sockets.missing) {
                (Err(error), _) if program.required => return Err(error),
                (Err(error), _) => Err(error.to_string()),
                (Ok(()), Some(missing)) if needs_sockets(program.name) => Err(missing.to_string()),
                (Ok(()), _) => Ok(()),
            };
            programs.push((program, fits));
        }
        Ok(Self {
            globals,
            programs,
            hooks: btf.only_hooks(PROGRAMS.iter().map(|program| program.hook))?,
            tcp_features: TcpVisibility {
                counts_sockets: sockets.missing.is_none(),
                passes_reason: sockets.passes_reason,
                has_ipv6: address6.is_some(),
                reasons: btf.enumeration("sk_rst_reason")?.unwrap_or_default(),
            },
        })
    }
}

/// The programs for the forms that the kernel's hooks have, each with whether it has the hook.
pub(super) fn programs_of(btf: &Btf) -> impl Iterator<Item = (Program, Result<(), BtfError>)> + '_ {
    PROGRAMS.iter().filter_map(|program| {
        let arguments = match program.hook {
            Hook::Tracepoint(name) => btf.tracepoint(name),
            Hook::Function(_) if passes_reason(btf) => return None,
            Hook::Function(name) => btf.function(name).map(|()| Vec::new()),
        };
        match arguments {
            Ok(arguments) if is_other_variant(program.name, &arguments) => None,
            Ok(_) => Some((*program, Ok(()))),
            Err(error) => Some((*program, Err(error))),
        }
    })
}

/// Whether the program was written for another form of its hook, and a second one for this form.
fn is_other_variant(name: &str, arguments: &[Argument]) -> bool {
    match name {
        "mark_victim_pid" => arguments.first() != Some(&Argument::Scalar),
        "mark_victim_task" => arguments.first() != Some(&Argument::Pointer),
        _ => false,
    }
}

/// Whether the program can do nothing without [`SOCKET_MEMBERS`]. The one for the changes of state has another use,
/// and is attached without.
fn needs_sockets(name: &str) -> bool {
    name.starts_with("tcp_")
}

/// Since 6.10 `tcp_send_reset` passes a reason, and with the same change tells of resets without a socket:
/// <https://github.com/torvalds/linux/commit/b533fb9cf4f7>, <https://github.com/torvalds/linux/commit/19822a980e19>
fn passes_reason(btf: &Btf) -> bool {
    btf.tracepoint("tcp_send_reset")
        .is_ok_and(|arguments| arguments.len() > 2)
}

/// What the kernel has of [`SOCKET_MEMBERS`].
struct Sockets {
    offsets: Vec<(&'static str, u32)>,
    /// The first that it lacks.
    missing: Option<BtfError>,
    cgroup_is_tagged: bool,
    passes_reason: bool,
}

impl Sockets {
    fn from_btf(btf: &Btf) -> Result<Self, BtfError> {
        let mut offsets = Vec::new();
        let mut missing = None;
        for member in SOCKET_MEMBERS {
            match offset(btf, member) {
                Ok(found) => offsets.push(found),
                Err(error @ (BtfError::NoMember { .. } | BtfError::NoStructure(_))) => {
                    missing = missing.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        let cgroup = or_absent(btf.offset("sock_cgroup_data", &["cgroup"]))?;
        Ok(Self {
            offsets,
            missing,
            cgroup_is_tagged: cgroup.is_none(),
            passes_reason: passes_reason(btf),
        })
    }

    fn add_globals(&self, globals: &mut Vec<(&'static str, u32)>) {
        let is_complete = self.missing.is_none();
        if is_complete {
            globals.extend(&self.offsets);
        }
        globals.push((COUNTS_SOCKETS, u32::from(is_complete)));
        globals.push((SOCK_CGROUP_IS_TAGGED, u32::from(self.cgroup_is_tagged)));
        globals.push((HAS_RESET_REASON, u32::from(self.passes_reason)));
    }
}

fn offset(btf: &Btf, member: &Member) -> Result<(&'static str, u32), BtfError> {
    Ok((member.global, btf.offset(member.structure, member.path)?))
}

/// `None` for a member or structure that kernels may be built without.
fn or_absent(offset: Result<u32, BtfError>) -> Result<Option<u32>, BtfError> {
    match offset {
        Ok(offset) => Ok(Some(offset)),
        Err(BtfError::NoMember { .. } | BtfError::NoStructure(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
