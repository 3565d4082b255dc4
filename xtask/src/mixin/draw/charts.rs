//! The kinds of panels.

use std::collections::BTreeMap;

use super::answers::{Answers, Series};
use super::svg::{self, Area, Svg};
use crate::mixin::board::{Panel, Target};

type Answered<'a> = [(&'a Target, &'a [Series])];

const SMALL: f64 = 11.0;
const LINE: f64 = 17.0;
/// Seconds between two points of a graph; farther ones are not joined.
const STEP_MAX: f64 = 5.5;
/// The share of a panel that the names of bars may take.
const NAMES: f64 = 0.5;

/// One number.
pub(super) fn draw_stat(svg: &mut Svg, area: Area, panel: &Panel, answered: &Answered<'_>) {
    let last = answered
        .iter()
        .flat_map(|(_, series)| series.iter())
        .map(Series::last_value)
        .next_back();
    let field = &panel.field_config.defaults;
    let text = match last {
        Some(value) if value.is_finite() => written(value, &field.unit),
        Some(_) | None => field.no_value.clone(),
    };
    svg.text((area.x, area.y + area.h * 0.6), (30.0, svg::TEXT), &text);
}

/// Horizontal bars, the buckets of a histogram among them.
pub(super) fn draw_bars(svg: &mut Svg, area: Area, panel: &Panel, answered: &Answered<'_>) {
    let mut bars = Vec::new();
    for (target, series) in answered {
        if target.format == "heatmap" {
            bars.extend(buckets(series));
        } else {
            let named = series
                .iter()
                .map(|series| (series.legend(&target.legend_format), series.last_value()));
            bars.extend(named);
        }
    }
    bars.retain(|(_, value)| value.is_finite());
    if bars.is_empty() {
        svg.text((area.x, area.y + LINE), (SMALL, svg::DIM), "no data");
        return;
    }
    let most = bars
        .iter()
        .map(|(_, value)| *value)
        .fold(f64::MIN_POSITIVE, f64::max);
    let widest = bars
        .iter()
        .map(|(name, _)| svg::text_width(name, SMALL))
        .fold(0.0, f64::max)
        .min(area.w * NAMES);
    let mut y = area.y;
    for (name, value) in &bars {
        if y + LINE > area.y + area.h {
            break;
        }
        svg.clipped((area.x, y + 12.0), widest, (SMALL, svg::TEXT), name);
        let text = written(*value, &panel.field_config.defaults.unit);
        let room = area.w - widest - 12.0 - svg::text_width(&text, SMALL) - 8.0;
        let bar = Area {
            x: area.x + widest + 12.0,
            y: y + 2.0,
            w: (room * (value / most)).max(1.0),
            h: LINE - 5.0,
        };
        svg.rect(bar, svg::colour(0));
        svg.text((bar.x + bar.w + 6.0, y + 12.0), (SMALL, svg::DIM), &text);
        y += LINE;
    }
}

/// Each bucket with what is in it alone: Prometheus' are cumulative. Empty ones at both ends are left out.
fn buckets(series: &[Series]) -> Vec<(String, f64)> {
    let mut sorted: Vec<(f64, f64)> = series
        .iter()
        .filter_map(|series| {
            let border = series.labels.get("le")?;
            Some((border.parse().unwrap_or(f64::INFINITY), series.last_value()))
        })
        .collect();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut below = 0.0;
    let mut bars: Vec<(String, f64)> = sorted
        .into_iter()
        .map(|(border, count)| {
            let alone = (count - below).max(0.0);
            below = count;
            (format!("≤ {border}"), alone)
        })
        .collect();
    let holds = |bar: &(String, f64)| bar.1 > 0.0;
    let first = bars.iter().position(holds).unwrap_or_default();
    let last = bars.iter().rposition(holds).map_or(0, |last| last + 1);
    bars.truncate(last);
    bars.split_off(first.min(bars.len()))
}

/// Lines over time. Those of a stacked graph are drawn as they are, beside each other.
pub(super) fn draw_graph(
    svg: &mut Svg,
    area: Area,
    panel: &Panel,
    answered: &Answered<'_>,
    span: &Answers,
) {
    let series: Vec<(String, &Series)> = answered
        .iter()
        .flat_map(|(target, series)| {
            series
                .iter()
                .map(|series| (series.legend(&target.legend_format), series))
        })
        .collect();
    let most = series
        .iter()
        .flat_map(|(_, series)| series.points())
        .map(super::answers::Point::value)
        .filter(|value| value.is_finite())
        .fold(0.0, f64::max);
    if series.is_empty() {
        svg.text((area.x, area.y + LINE), (SMALL, svg::DIM), "no data");
        return;
    }
    let most = if most > 0.0 { most } else { 1.0 };
    let plot = Area {
        x: area.x + 46.0,
        h: area.h - LINE - 4.0,
        w: area.w - 46.0,
        ..area
    };
    let unit = &panel.field_config.defaults.unit;
    for part in [0.0, 0.5, 1.0] {
        let y = plot.y + plot.h * (1.0 - part);
        svg.line(&[(plot.x, y), (plot.x + plot.w, y)], svg::GRID);
        svg.text(
            (area.x, y + 4.0),
            (10.0, svg::DIM),
            &written(most * part, unit),
        );
    }
    let length = (span.to - span.from).max(1.0);
    let mut legend = plot.x;
    for (index, (name, series)) in series.iter().enumerate() {
        let place = |at: f64, value: f64| {
            (
                plot.x + plot.w * ((at - span.from) / length),
                plot.y + plot.h * (1.0 - value / most),
            )
        };
        let there: Vec<_> = series
            .points()
            .iter()
            .filter(|point| point.value().is_finite())
            .collect();
        // What is not there is a gap, and no line.
        for piece in there.chunk_by(|one, next| next.0 - one.0 <= STEP_MAX) {
            let points: Vec<_> = piece
                .iter()
                .map(|point| place(point.0, point.value()))
                .collect();
            svg.line(&points, svg::colour(index));
        }
        let wide = svg::text_width(name, SMALL) + 14.0;
        if legend + wide < area.x + area.w {
            let y = area.y + area.h - 3.0;
            svg.text((legend, y), (SMALL, svg::colour(index)), name);
            legend += wide;
        }
    }
}

/// The answers of all queries, merged by the labels that they have in common.
pub(super) fn draw_table(svg: &mut Svg, area: Area, panel: &Panel, answered: &Answered<'_>) {
    let Some(columns) = panel
        .transformations
        .iter()
        .map(|one| &one.options)
        .next_back()
    else {
        return;
    };
    let mut order: Vec<(&usize, &str)> = columns
        .index_by_name
        .iter()
        .map(|(field, index)| (index, field.as_str()))
        .collect();
    order.sort_unstable();
    let rows = merged(answered, &order);
    let wide = area.w / super::number(order.len() as u64).max(1.0);
    let mut left = area.x;
    for (_, field) in &order {
        let title = columns.rename_by_name.get(*field);
        let title = title.map_or(*field, String::as_str);
        svg.clipped((left, area.y + 12.0), wide - 6.0, (SMALL, svg::DIM), title);
        let unit = panel.unit_of(title);
        let mut y = area.y + LINE;
        for row in &rows {
            if y + LINE > area.y + area.h {
                break;
            }
            let cell = row.get(*field).map_or("", String::as_str);
            let number = field
                .starts_with("Value")
                .then(|| cell.parse().ok())
                .flatten();
            let text = number.map_or_else(|| cell.to_owned(), |value| written(value, unit));
            svg.clipped((left, y + 12.0), wide - 6.0, (SMALL, svg::TEXT), &text);
            y += LINE;
        }
        left += wide;
    }
}

/// A row for each set of labels of the first query: its labels, and a value of each query that has those.
fn merged(answered: &Answered<'_>, order: &[(&usize, &str)]) -> Vec<BTreeMap<String, String>> {
    let mut rows: Vec<BTreeMap<String, String>> = Vec::new();
    for (target, series) in answered {
        for one in *series {
            let value = format!("Value #{}", target.ref_id);
            let key: Vec<(&str, &String)> = order
                .iter()
                .filter_map(|(_, field)| Some((*field, one.labels.get(*field)?)))
                .collect();
            let same = |row: &BTreeMap<String, String>| {
                key.iter()
                    .all(|(field, value)| row.get(*field).is_none_or(|known| known == *value))
            };
            let known = rows.iter().position(same);
            let index = known.unwrap_or_else(|| {
                rows.push(BTreeMap::new());
                rows.len() - 1
            });
            let Some(row) = rows.get_mut(index) else {
                continue;
            };
            for (field, label) in key {
                row.insert(field.to_owned(), label.clone());
            }
            row.insert(value, one.last_value().to_string());
        }
    }
    rows
}

/// A number in its unit, as short as it can be read.
fn written(value: f64, unit: &str) -> String {
    let plain = |value: f64| {
        let text = format!("{value:.3}");
        let places = if value.abs() >= 100.0 { 0 } else { 2 };
        let text = if value.abs() < 1.0 {
            text
        } else {
            format!("{value:.places$}")
        };
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    };
    match unit {
        "s" if value < 1.0 && value > 0.0 => format!("{} ms", plain(value * 1e3)),
        "s" => format!("{} s", plain(value)),
        "percentunit" => format!("{} %", plain(value * 100.0)),
        "ops" => format!("{}/s", plain(value)),
        "bool_yes_no" => if value > 0.0 { "yes" } else { "no" }.to_owned(),
        _ => plain(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(written(3.012_799, "s"), "3.01 s");
        assert_eq!(written(0.004_33, "s"), "4.33 ms");
        assert_eq!(written(1.0, "percentunit"), "100 %");
        assert_eq!(written(12.0, "short"), "12");
        assert_eq!(written(0.0, "bool_yes_no"), "no");
        assert_eq!(written(200.0, "short"), "200");
    }

    #[test]
    fn buckets_are_taken_apart() {
        let of = |border: &str, count: &str| {
            let json = serde_json::json!({"metric": {"le": border}, "value": [0.0, count]});
            serde_json::from_value::<Series>(json).unwrap()
        };
        let series = [
            of("+Inf", "5"),
            of("1", "0"),
            of("5", "2"),
            of("2", "2"),
            of("10", "5"),
        ];
        let bars = buckets(&series);
        assert_eq!(
            bars,
            [
                ("≤ 2".to_owned(), 2.0),
                ("≤ 5".to_owned(), 0.0),
                ("≤ 10".to_owned(), 3.0)
            ]
        );
    }
}
