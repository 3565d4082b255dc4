//! Draws the dashboards from what a real Prometheus answered to their queries: places, titles, units and legends are those
//! of the dashboards' JSON. No Grafana, and the picture says so.

mod answers;
mod charts;
mod svg;

use std::path::Path;

use anyhow::{Context as _, Result};

use super::Made;
use super::board::{Board, Panel};
use answers::Answers;
use svg::{Area, Svg};

/// Where the pictures go.
const FOLDER: &str = "docs/images";
/// Pixels of a column and of a row of Grafana's grid.
const COLUMN: f64 = 50.0;
const ROW: f64 = 30.0;
/// Between panels, and from a panel's edge to what is in it.
const GAP: f64 = 4.0;
/// What stands above the panels, and below.
const HEAD: f64 = 40.0;
const FOOT: f64 = 26.0;
const COLUMNS: f64 = 24.0;
const TITLE: f64 = 26.0;

/// Writes a picture of each dashboard, from the file that `cargo xtask e2e` leaves.
pub(super) fn write(answers: &Path, dashboards: &[Made]) -> Result<()> {
    let text = std::fs::read_to_string(answers).with_context(|| {
        format!(
            "cannot read {}; `cargo xtask e2e` leaves target/e2e/monitoring/answers.json",
            answers.display()
        )
    })?;
    let answers: Answers = serde_json::from_str(&text)
        .with_context(|| format!("{} holds no answers", answers.display()))?;
    for file in dashboards {
        let board: Board = serde_json::from_str(&file.text)?;
        let name = board.uid.trim_start_matches("gracewatch-");
        let picture = Made {
            path: format!("{FOLDER}/dashboard-{name}.svg"),
            text: draw_dashboard(&board, &answers),
        };
        picture.write()?;
        eprintln!("wrote {}", picture.path);
    }
    Ok(())
}

fn draw_dashboard(board: &Board, answers: &Answers) -> String {
    let rows = board
        .panels
        .iter()
        .map(|panel| panel.grid_pos.y + panel.grid_pos.h)
        .max()
        .unwrap_or_default();
    let (width, height) = (COLUMNS * COLUMN, HEAD + number(rows) * ROW + FOOT);
    let mut svg = Svg::new(width, height);
    svg.text((GAP * 2.0, HEAD - 14.0), (18.0, svg::TEXT), &board.title);
    svg.text((GAP * 2.0, height - 9.0), (12.0, svg::DIM), "Drawn by `cargo xtask mixin --draw`, not by Grafana, from what a real Prometheus answered to the dashboard's queries \
         during `cargo xtask e2e`.");
    for panel in &board.panels {
        draw_panel(&mut svg, board, panel, answers);
    }
    svg.finish()
}

fn draw_panel(svg: &mut Svg, board: &Board, panel: &Panel, answers: &Answers) {
    let place = panel.grid_pos;
    let area = Area {
        x: number(place.x) * COLUMN + GAP / 2.0,
        y: HEAD + number(place.y) * ROW + GAP / 2.0,
        w: number(place.w) * COLUMN - GAP,
        h: number(place.h) * ROW - GAP,
    };
    if panel.kind == "row" {
        svg.text(
            (area.x + GAP, area.y + 19.0),
            (14.0, svg::TEXT),
            &panel.title,
        );
        return;
    }
    svg.rect(area, svg::PANEL);
    svg.clipped(
        (area.x + 8.0, area.y + 18.0),
        area.w - 16.0,
        (13.0, svg::TEXT),
        &panel.title,
    );
    let inner = Area {
        x: area.x + 10.0,
        y: area.y + TITLE,
        w: area.w - 20.0,
        h: area.h - TITLE - 6.0,
    };
    let answered = answers.answers_of(&board.uid, panel);
    match panel.kind.as_str() {
        "stat" => charts::draw_stat(svg, inner, panel, &answered),
        "timeseries" => charts::draw_graph(svg, inner, panel, &answered, answers),
        "bargauge" => charts::draw_bars(svg, inner, panel, &answered),
        "table" => charts::draw_table(svg, inner, panel, &answered),
        _ => svg.text((inner.x, inner.y + 14.0), (12.0, svg::DIM), "not drawn"),
    }
}

/// What counts places in the grid is small.
fn number(count: u64) -> f64 {
    u32::try_from(count).map_or(0.0, f64::from)
}
