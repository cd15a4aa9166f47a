//! Small drawn parts: state symbols, chips, bars. Drawn as SVG, because pages carry no style of their own,
//! and never told apart by colour alone.

use huisuan_api::{centres::PoolView, jobs::TaskCounts};
use maud::{Markup, html};

use super::{
    numbers,
    page::Page,
    words::{self, Language, Word},
};

/// The most cores whose borders are drawn: more would only be a grey line.
const BORDERS_MAX: f64 = 32.0;

/// A state as symbol and word.
pub(super) fn state(page: &Page, state: &str) -> Markup {
    let known = words::state(state);
    let class = if known.is_some() { state } else { "unknown" };
    html! {
        span class={ "state " (class) } { (symbol(state)) (page.known(known, state)) }
    }
}

/// The shape of a state: each has its own outline.
fn symbol(state: &str) -> Markup {
    html! {
        svg.symbol viewBox="0 0 16 16" aria-hidden="true" {
            @match state {
                "waiting" => {
                    circle.line cx="8" cy="8" r="6.2" {}
                    path.line d="M8 4.6V8l2.3 1.6" {}
                },
                "placed" => {
                    circle.line.dots cx="8" cy="8" r="6.2" {}
                    circle.full cx="8" cy="8" r="2.2" {}
                },
                "running" | "active" => path.full d="M4.2 2.3v11.4L14 8z" {},
                "succeeded" => path.line.thick d="M2.6 8.6l3.6 3.8 7.2-8.6" {},
                "failed" => path.line.thick d="M3.4 3.4l9.2 9.2M12.6 3.4l-9.2 9.2" {},
                "cancelled" => {
                    circle.line cx="8" cy="8" r="6.2" {}
                    path.line d="M3.7 12.3l8.6-8.6" {}
                },
                "paused" => path.line.thick d="M5.2 3v10M10.8 3v10" {},
                _ => rect.line x="2.5" y="2.5" width="11" height="11" {},
            }
        }
    }
}

/// Whether an agent is connected, as symbol and word.
pub(super) fn connection(page: &Page, connected: bool) -> Markup {
    let (class, word) = if connected { ("on", words::CONNECTED) } else { ("off", words::NOT_CONNECTED) };
    html! {
        span class={ "state " (class) } {
            svg.symbol viewBox="0 0 16 16" aria-hidden="true" {
                @if connected { circle.full cx="8" cy="8" r="4.5" {} } @else { circle.line cx="8" cy="8" r="4" {} }
            }
            (page.say(word))
        }
    }
}

/// A class of compute as a chip.
pub(super) fn class(page: &Page, class: &str) -> Markup {
    let known = words::class(class).map(|(name, _)| name);
    html! { span class={ "chip class-" (class) } { (page.known(known, class)) } }
}

/// Where a figure comes from.
pub(super) fn mark(page: &Page, mark: &str) -> Markup {
    html! { span class={ "chip mark-" (mark) } { (page.known(words::mark(mark), mark)) } }
}

/// How much of something is used: a bar with its numbers beside it.
pub(super) fn used(page: &Page, what: Word, used: f64, all: f64, numbers: &str) -> Markup {
    let name = page.say(what);
    html! {
        div.meter {
            span.meter-name { (name) }
            span.meter-numbers { (numbers) }
            (bar(&format!("{name}: {numbers}"), &[("fill", used)], all, what == words::CORES))
        }
    }
}

/// Cores, memory and accelerators of a pool.
pub(super) fn pool(page: &Page, pool: &PoolView) -> Markup {
    let (memory_used, memory) = (pool.memory_used_bytes, pool.memory_bytes);
    let memory_text = page.fill(words::OF_ALL, &[&numbers::memory(memory_used), &numbers::memory(memory)]);
    html! {
        div.meters {
            @let cores_text = given(page, pool.cores_used, pool.cores, numbers::cores);
            (used(page, words::CORES, pool.cores_used, pool.cores, &cores_text))
            (used(page, words::MEMORY, memory_used as f64, memory as f64, &memory_text))
            @if pool.devices > 0.0 {
                @let text = given(page, pool.devices_used, pool.devices, numbers::devices);
                (used(page, words::DEVICES, pool.devices_used, pool.devices, &text))
            }
        }
    }
}

/// `1.5 / 2 cores`. Short tasks are placed ahead of their time: what is given away beyond what there is, waits
/// at the centre itself.
fn given(page: &Page, used: f64, all: f64, unit: impl Fn(f64, Language) -> String) -> String {
    let text = page.fill(words::OF_ALL, &[&numbers::count(used.min(all)), &unit(all, page.language)]);
    let queued = used - all;
    match queued > 0.0 {
        true => format!("{text} · {}", page.fill(words::QUEUED, &[&numbers::count(queued)])),
        false => text,
    }
}

/// How far a job's tasks are: one piece of the bar for each state, and the ended of all in numbers.
pub(super) fn tasks(page: &Page, tasks: &TaskCounts) -> Markup {
    let ended = tasks.total.saturating_sub(tasks.waiting + tasks.active);
    let numbers = page.fill(words::OF_ALL, &[&numbers::grouped(ended), &numbers::grouped(tasks.total)]);
    let pieces = pieces(tasks).map(|(state, count)| (state, count as f64));
    html! {
        div.tasks {
            span.tasks-numbers { (numbers) }
            (bar(&format!("{}: {numbers}", page.say(words::TASKS)), &pieces, tasks.total as f64, false))
        }
    }
}

/// How many tasks are in each state, in the order of the bar.
pub(super) fn pieces(tasks: &TaskCounts) -> [(&'static str, u64); 5] {
    [
        ("succeeded", tasks.succeeded),
        ("failed", tasks.failed),
        ("cancelled", tasks.cancelled),
        ("running", tasks.active),
        ("waiting", tasks.waiting),
    ]
}

/// A bar of pieces, each with its class, that fill parts of `all`.
fn bar(label: &str, pieces: &[(&str, f64)], all: f64, borders: bool) -> Markup {
    let percent = |part: f64| if all > 0.0 { (part / all * 100.0).clamp(0.0, 100.0) } else { 0.0 };
    let written = |percent: f64| format!("{percent:.3}%");
    let mut from = 0.0;
    let mut drawn = Vec::new();
    for &(class, part) in pieces {
        drawn.push((class, from, percent(part)));
        from += percent(part);
    }
    let cells = if borders && all <= BORDERS_MAX { all.ceil() as u32 } else { 0 };
    html! {
        svg.bar role="img" aria-label=(label) {
            rect.track width="100%" height="100%" {}
            @for (class, from, wide) in drawn.into_iter().filter(|(_, _, wide)| *wide > 0.0) {
                rect class=(class) x=(written(from)) width=(written(wide)) height="100%" {}
            }
            @for border in 1..cells {
                rect.border x=(written(percent(f64::from(border)))) width="2" height="100%" {}
            }
        }
    }
}

/// The symbol of what is right.
pub(super) fn check() -> Markup {
    symbol("succeeded")
}

/// The symbol of what is wrong.
pub(super) fn cross() -> Markup {
    symbol("failed")
}
