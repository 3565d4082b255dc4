//! A real Prometheus beside the scenarios: it scrapes the agents and evaluates the mixin's rules all the while, and in the end
//! every query of every dashboard and every rule is put to it.

mod boards;
mod json;
mod prometheus;
mod rules;

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gracewatch_tests::harness::attempt;
use serde_json::json;

use crate::Args;
use crate::check::Check;
use crate::place::Place;
use crate::table::Outcome;
use prometheus::Prometheus;

/// What the rules are evaluated from has to be there once more after the last scenario: their groups take a minute.
const SETTLED_AFTER: Duration = Duration::from_secs(65);

/// The running Prometheus.
#[derive(Debug)]
pub(crate) struct Monitoring {
    prometheus: Prometheus,
}

impl Monitoring {
    /// Starts it, where the cluster is ours.
    pub(crate) fn start(place: &Place, args: &Args) -> Result<Option<Self>> {
        let Some(own) = place.own_cluster() else {
            return Ok(None);
        };
        let prometheus = Prometheus::start(&own.cluster, place, args)?;
        Ok(Some(Self { prometheus }))
    }

    /// Puts everything to it that dashboards and rules ask. `all_ran` tells whether all scenarios ran, so that there is
    /// something to be seen in every panel.
    pub(crate) fn query_all(&self, args: &Args, all_ran: bool) -> Outcome {
        attempt("monitoring", Check::default(), |check| {
            self.ask_into(args, all_ran, check)
        })
    }

    fn ask_into(&self, args: &Args, all_ran: bool, check: &mut Check) -> Result<()> {
        if all_ran {
            sleep(SETTLED_AFTER);
        }
        let up = self.prometheus.instant("up{job=\"gracewatch\"} == 1")?;
        check.require("an agent is scraped", !up.is_empty());
        rules::query_rules(&self.prometheus, all_ran, check)?;
        let boards = boards::query_boards(&self.prometheus, &args.dashboards, all_ran, check)?;
        let answers = json!({
            "from": self.prometheus.scrape_start(),
            "to": self.prometheus.current_time()?,
            "boards": boards,
        });
        let folder = args.logs.with_file_name("monitoring");
        write(&folder, "answers.json", &answers.to_string())?;
        write(
            &folder,
            "agent.metrics.txt",
            &self.prometheus.metrics_page()?,
        )
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text))
        .with_context(|| format!("cannot write {}", path.display()))
}
