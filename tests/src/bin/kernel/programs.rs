//! Every program of the object, loaded and attached to this kernel.

use agent_common::global::PROGRAMS;
use agent_common::map::EVENTS_BYTES;
use anyhow::{Context as _, Result, ensure};
use gracewatch::probes::{Options, Probes};

/// Loads the probes once and says what became of each; an error if a required one is missing.
pub(crate) fn report(guest: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let _entered = runtime.enter();
    let options = Options {
        ring_bytes: EVENTS_BYTES,
        signals: u64::MAX,
        log: false,
    };
    let probes = Probes::load(&options).context("the probes cannot be loaded")?;
    let states = probes.programs.states();
    ensure!(!states.is_empty(), "the object has no programs");
    for program in PROGRAMS {
        let state = states.iter().find(|state| state.program == *program);
        let refused = match state {
            Some(state) => state.refused.as_deref(),
            None => Some("not needed, this kernel's hooks have another form"),
        };
        let (attached, reason) = match refused {
            None => ("yes", String::new()),
            Some(reason) => ("no", format!(" reason={}", reason.replace('\n', " "))),
        };
        if guest {
            let required = if program.required { "yes" } else { "no" };
            let name = program.name;
            println!(
                "VM-PROGRAM name={name} required={required} loaded={attached} attached={attached}{reason}"
            );
        } else {
            println!("program {} ... attached: {attached}{reason}", program.name);
        }
    }
    Ok(())
}
