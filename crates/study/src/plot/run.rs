//! The charts of a run.

use std::collections::BTreeMap;

use huisuan_model::{CentreId, Class};

use super::{Chart, Curve};
use crate::report::{CentreLine, Line, Report};

/// Use, queue, waits, power, cost, energy and emissions over time, each with the name of its file without `.svg`.
pub fn charts(report: &Report, lines: &[Line]) -> Vec<(&'static str, Chart)> {
    let note = format!(
        "{} / {} · {}, seed {} · MODELLED / 模拟结果",
        report.title.en, report.title.zh, report.policy, report.seed
    );
    let classes: Vec<Class> = report.classes.keys().copied().collect();
    let chart = |title: &str, y_label: &str, y_max, curves| Chart {
        title: title.to_owned(),
        note: note.clone(),
        x_label: "simulated time (h) / 模拟时间（小时）".to_owned(),
        y_label: y_label.to_owned(),
        y_max,
        curves,
    };
    let each = |suffix: &str, value: &dyn Fn(&Line, Class) -> f64| -> Vec<Curve> {
        let curve = |&class: &Class| Curve {
            name: format!("{class}{suffix}"),
            points: lines.iter().map(|line| (line.at_s / 3_600.0, value(line, class))).collect(),
        };
        classes.iter().map(curve).collect()
    };
    // The first line covers no time yet.
    let percent = |map: &BTreeMap<Class, f64>, line: &Line, class: Class| {
        let ratio = map.get(&class).copied().unwrap_or(f64::NAN);
        if line.at_s > 0.0 { ratio * 100.0 } else { f64::NAN }
    };
    let mut shares = each(" allocated", &|line, class| percent(&line.allocated, line, class));
    shares.extend(each(" used", &|line, class| percent(&line.used, line, class)));
    let waiting = each("", &|line, class| line.waiting.get(&class).map_or(f64::NAN, |&jobs| jobs as f64));
    let waits = each("", &|line, class| line.wait_p50_s.get(&class).copied().unwrap_or(f64::NAN));
    let power = vec![Curve {
        name: "all centres / 全部中心".to_owned(),
        points: lines.iter().skip(1).map(|line| (line.at_s / 3_600.0, line.power_kw)).collect(),
    }];
    vec![
        ("utilisation", chart("Utilisation / 算力利用率", "share of the rate (%)", Some(100.0), shares)),
        ("queue", chart("Waiting jobs / 排队作业", "jobs", None, waiting)),
        ("waits", chart("Median wait of started jobs / 等待时间中位数", "wait (s)", None, waits)),
        ("power", chart("Power of all sites / 总功率", "power (kW)", None, power)),
        ("cost", chart("Cost of ended tasks / 已结束任务的费用", "CNY", None, by_centre(lines, |sum| sum.cost_cny))),
        ("energy", chart("Energy of sites / 能耗", "kWh", None, by_centre(lines, |sum| sum.energy_kwh))),
        ("carbon", chart("Emissions of sites / 碳排放", "kg CO2", None, by_centre(lines, |sum| sum.carbon_kg))),
    ]
}

/// Curves of one chart.
const CURVES_MAX: usize = 6;

/// What centres came to over time: those that came to most each with a curve, the others together.
fn by_centre(lines: &[Line], figure: fn(&CentreLine) -> f64) -> Vec<Curve> {
    let Some(last) = lines.last() else { return Vec::new() };
    let mut ids: Vec<&CentreId> = last.centres.keys().collect();
    // The sort is stable, so that equal ones stay in the order of ids.
    ids.sort_by(|a, b| figure(&last.centres[*b]).total_cmp(&figure(&last.centres[*a])));
    let alone = if ids.len() > CURVES_MAX { CURVES_MAX - 1 } else { ids.len() };
    let (first, rest) = ids.split_at(alone);
    let curve = |name: String, of: &[&CentreId]| {
        let sum = |line: &Line| of.iter().filter_map(|id| line.centres.get(*id)).map(figure).sum();
        Curve { name, points: lines.iter().map(|line| (line.at_s / 3_600.0, sum(line))).collect() }
    };
    let mut curves: Vec<Curve> = first.iter().map(|id| curve(id.to_string(), &[*id])).collect();
    if !rest.is_empty() {
        curves.push(curve(format!("{} others / 其他", rest.len()), rest));
    }
    curves
}
