//! What the running kernel offers of what the probes need, looked up without loading anything.

use agent_common::global::{MEMBERS, Program};

use super::btf::{Btf, BtfError};
use super::failure::LoadError;
use super::layout;
use super::object;

/// What a kernel offers of what the probes need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many members and structures the probes read.
    pub members: usize,
    /// Why some cannot be found, each in a sentence.
    pub members_missing: Vec<String>,
    /// Programs whose hook the kernel does not have.
    pub hooks_missing: Vec<Program>,
}

/// Looks into the running kernel's BTF, which everybody may read.
///
/// # Errors
/// If there is no BTF, or if it cannot be understood.
pub fn survey() -> Result<Survey, BtfError> {
    let btf = Btf::of_kernel()?;
    let sizes = ["upid", "k_sigaction"];
    let offsets = MEMBERS
        .iter()
        .map(|member| btf.offset(member.structure, member.path));
    let found: Vec<_> = offsets
        .chain(sizes.iter().map(|structure| btf.struct_size(structure)))
        .collect();
    let hooks_missing =
        layout::programs_of(&btf).filter_map(|(program, hook)| hook.is_err().then_some(program));
    Ok(Survey {
        members: found.len(),
        hooks_missing: hooks_missing.collect(),
        members_missing: found
            .into_iter()
            .filter_map(|found| found.err().map(|error| error.to_string()))
            .collect(),
    })
}

/// Whether this binary has probes in it that fit.
///
/// # Errors
/// If it was built without them, or with others.
pub fn check_built() -> Result<(), LoadError> {
    object::embedded().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_all_that_is_required() {
        let survey = survey().unwrap();
        assert_eq!(survey.members, MEMBERS.len() + 2);
        assert_eq!(survey.members_missing, Vec::<String>::new());
        assert!(survey.hooks_missing.iter().all(|program| !program.required));
    }
}
