//! Doubts in words.

use agent_core::report::Doubt;

/// Why a verdict is not certain, in one sentence.
pub(crate) const fn sentence(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::RecordsLost => {
            "Records were lost while it was being terminated, or there was no room for them: facts may be missing."
        }
        Doubt::SeenLate => {
            "Gracewatch did not follow it from before its termination: what came first may be missing."
        }
        Doubt::ExitMissing => "The exit of its main process was not seen.",
        Doubt::MainUncertain => "Which process is its main process is not certain.",
        Doubt::AgentStopped => "Gracewatch was stopped while it was still being terminated.",
        Doubt::GraceUnknown => {
            "Whether its grace period was over is not certain: that is concluded from who sent SIGKILL, or from when it came."
        }
        Doubt::Traced => "A debugger traced its main process, which changes what signals do.",
        Doubt::SignalMissing => "A signal ended it, and who sent it was not seen.",
        Doubt::HookUncertain => {
            "Which process was its preStop hook, or whether one was, is not certain."
        }
        Doubt::PodUnknown => {
            "That it is a container of a pod did not become known in time from the pod's status: its hook, grace period and names may be missing."
        }
        Doubt::RuntimeOpaque => "Its runtime class may hide its processes from the node's kernel.",
        Doubt::ConnectionsMissing => {
            "The last counts of its connections did not come in time, so there are none."
        }
        Doubt::StopSignalUncertain => {
            "A signal came from outside that may have been meant to stop it, or may not."
        }
        Doubt::SignalFateUnknown => {
            "It blocked the stop signal when that was sent, and what became of the signal was not seen."
        }
        Doubt::ProcessesForgotten => {
            "So many processes were in it at once that the one of its preStop hook may not have been followed."
        }
        Doubt::KernelKillUnexplained => "The kernel sent SIGKILL and nothing seen says why.",
    }
}
