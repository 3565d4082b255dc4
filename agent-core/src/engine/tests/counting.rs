//! What holds of counts, however they come.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;

use super::network::{Counts, counting, reasons};
use super::plot::a_plot;
use super::scene::{CONTAINER, HANDLED, Scene, Who, cgroup_created};
use super::stage::{self, pod_with_grace};
use crate::config::Config;
use crate::connection::{Mode, Phase, ResetClass, SocketCounts};
use crate::engine::Engine;
use crate::event::EventKind;
use crate::input::Input;
use crate::journal::Entry;
use crate::output::{Effect, Output};
use crate::remaining::Remaining;
use crate::sockets::Reasons;
use crate::time::Timestamp;

/// One thing that happens while counts come.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many more resets of the class with this number.
    Resets(u32, u64),
    /// The counts are told.
    Told,
    /// Time passes, in milliseconds.
    Pause(u64),
    Pod,
    Started,
    Stopped,
    Exited,
    Removed,
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let once = select(vec![
        Step::Pod,
        Step::Started,
        Step::Stopped,
        Step::Exited,
        Step::Removed,
    ]);
    let step = prop_oneof![
        6 => (100_u32..105, 1_u64..5).prop_map(|(class, count)| Step::Resets(class, count)),
        4 => select(vec![Step::Told]),
        3 => select(vec![10_u64, 150, 1100, 16_000]).prop_map(Step::Pause),
        3 => once,
    ];
    proptest::collection::vec(step, 0..40)
}

fn reset_class(number: u32) -> ResetClass<u32> {
    super::network::reset_class(Phase::Running, Mode::Active, number)
}

fn counts(resets: &BTreeMap<u32, u64>) -> Counts {
    let known = resets
        .iter()
        .map(|(number, count)| (reset_class(*number), *count));
    Counts(SocketCounts {
        resets: known.collect(),
        ..SocketCounts::default()
    })
}

/// A scenario of which the container may go early: counts that come after that concern nobody.
fn run_steps(steps: &[Step]) -> (Vec<Output>, BTreeMap<u32, u64>) {
    let mut config = counting();
    config.pods = true;
    let mut scene = Scene::with_config(config).receives(cgroup_created(CONTAINER, &stage::path(0)));
    let mut resets = BTreeMap::new();
    let mut told = BTreeMap::new();
    let mut now = 1.0;
    scene = scene.at_second(now);
    for step in steps {
        // What is due is over before the next step.
        now += 1e-6;
        scene = scene.at_second(now);
        let is_tracked = !is_untracked(&scene.said);
        scene = match step {
            Step::Resets(number, count) => {
                *resets.entry(*number).or_default() += count;
                scene
            }
            Step::Told => {
                if is_tracked {
                    told.clone_from(&resets);
                }
                scene.counts(counts(&resets))
            }
            Step::Pause(millis) => {
                now += Duration::from_millis(*millis).as_secs_f64();
                scene.at_second(now)
            }
            Step::Pod => scene.watch_shows(&pod_with_grace(30)),
            Step::Started => scene.attached(Who::Main).execs_command(Who::Main, "/app"),
            Step::Stopped => scene.stop(HANDLED),
            Step::Exited => scene.exits_with_code(Who::Main, 0),
            Step::Removed => scene.removed(),
        };
    }
    let (said, _) = scene.receives(Input::Shutdown).finish();
    (said, told)
}

fn is_untracked(said: &[Output]) -> bool {
    said.iter()
        .any(|output| matches!(output, Output::Tracked { added: false, .. }))
}

/// When the reports were given out; the effect that asks for counts is answered after this time, or never.
fn given_out_at(config: Config, entries: &[Entry], answer: Option<Duration>) -> Vec<Timestamp> {
    let mut engine = Engine::new(config).unwrap();
    let mut waiting: Vec<(Timestamp, Input)> = Vec::new();
    let mut given = Vec::new();
    let mut entries = entries.iter().cloned().peekable();
    loop {
        let answers = waiting.first().map(|(at, _)| *at);
        let next = [
            engine.poll_timeout(),
            entries.peek().map(|one| one.at),
            answers,
        ];
        let Some(now) = next.into_iter().flatten().min() else {
            return given;
        };
        if answers == Some(now) {
            let (_, input) = waiting.remove(0);
            engine.handle(input, now);
        } else if entries.peek().is_some_and(|one| one.at == now) {
            engine.handle(entries.next().unwrap().input, now);
        } else {
            engine.handle_timeout(now);
        }
        while let Some(output) = engine.poll_output() {
            match output {
                Output::Finished(_) => given.push(now),
                Output::Effect(Effect::FindRemaining { container, .. }) => {
                    let remaining = Remaining::default();
                    let answer = Input::Remaining {
                        container,
                        remaining,
                    };
                    engine.handle(answer, now);
                }
                Output::Effect(Effect::Count { container }) => {
                    waiting.extend(answer.map(|after| {
                        let counts = Box::default();
                        (now.after(after), Input::Sockets { container, counts })
                    }));
                }
                _ => {}
            }
        }
    }
}

proptest! {
    /// Whether the pod is known early, late or never, and however the container ends.
    #[test]
    fn what_was_told_of_resets_adds_up_to_the_counts(steps in any_steps()) {
        let (said, last) = run_steps(&steps);
        let mut sum: BTreeMap<Option<String>, u64> = BTreeMap::new();
        for output in said {
            if let Output::Resets { resets, .. } = output {
                for one in resets {
                    prop_assert!(one.count > 0);
                    *sum.entry(one.class.reason).or_default() += one.count;
                }
            }
        }
        let reasons = Reasons(reasons());
        let expected = last.iter().map(|(number, count)| (reasons.with_reason_name(&reset_class(*number)).reason, *count));
        prop_assert_eq!(sum, expected.collect());
    }

    /// At the most 200 ms more than without counts, and nothing where they come at once.
    #[test]
    fn a_report_waits_for_its_counts_within_the_bound(plot in a_plot(), counts_come: bool) {
        let straight = |length: usize| (0..length).collect::<Vec<_>>();
        let is_counts = |input: &Input| {
            matches!(input, Input::Sockets { .. })
                || matches!(input, Input::Event(event) if matches!(event.kind, EventKind::Reset(_)))
        };
        let mut entries = plot.entries(&straight(4), &straight(9));
        entries.retain(|entry| !is_counts(&entry.input));
        let config = |counted| super::properties::config(counted);
        let plain = given_out_at(config(false), &entries, None);
        let answer = counts_come.then_some(Duration::from_millis(3));
        let counted = given_out_at(config(true), &entries, answer);
        let wait = answer.unwrap_or(Duration::from_millis(200));
        let expected: Vec<Timestamp> = plain.iter().map(|at| at.after(wait)).collect();
        prop_assert_eq!(plain.len(), 1);
        prop_assert_eq!(counted, expected);
    }

    #[test]
    fn no_count_underflows(
        all in proptest::collection::vec(super::network::any_counts(), 0..6),
        stop: bool,
        any_order in any::<bool>(),
    ) {
        let mut scene = Scene::counted().running();
        for counts in &all {
            scene = scene.counts(Counts(counts.clone()));
        }
        scene = scene.at_second(10.0);
        scene = if stop { scene.stop(HANDLED) } else { scene };
        scene = scene.exits_with_code(Who::Main, 0);
        scene = if any_order { scene.removed() } else { scene.becomes_empty() };
        scene = scene.at_second(11.1);
        for counts in &all {
            scene = scene.counts(Counts(counts.clone()));
        }
        let (said, _) = scene.finish();
        let largest = 4 * 2 * 255 * 4;
        for output in said {
            if let Output::Finished(report) = output
                && let Some(said) = report.connections
            {
                prop_assert!(said.at_stop_signal <= largest && said.at_exit <= largest);
                prop_assert!(said.accepted_after <= largest && said.refused <= largest);
            }
        }
    }
}
