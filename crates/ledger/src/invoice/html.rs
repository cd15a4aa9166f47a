//! A bill as one printable page, in English or Chinese, that needs nothing else.

use huisuan_model::Mark;

use super::{
    amount::{EnergyText, decimal, moment, p_h},
    bill::{Bill, Party},
};
use crate::tariff::month_text;

/// The language of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese.
    Chinese,
}

impl Language {
    fn text(self, english: &'static str, chinese: &'static str) -> &'static str {
        match self {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }
}

const STYLE: &str = "body{font:14px/1.5 system-ui,'Noto Sans CJK SC',sans-serif;max-width:60em;margin:2em auto;\
padding:0 1em;color:#111}table{border-collapse:collapse;width:100%;margin:1em 0}th,td{padding:.3em .5em;\
border-bottom:1px solid #ccc;text-align:left;vertical-align:top}.n{text-align:right;font-variant-numeric:tabular-nums}\
tfoot td{font-weight:600;border-top:2px solid #111}small{color:#555}@page{size:A4;margin:15mm}\
@media print{body{margin:0;max-width:none}tr{break-inside:avoid}thead{display:table-header-group}}";

/// The page.
pub fn html(bill: &Bill, language: Language) -> String {
    let say = |english, chinese| language.text(english, chinese);
    let title = match bill.party {
        Party::Tenant(_) => say("Bill", "账单"),
        Party::Centre(_) => say("Settlement statement", "结算单"),
    };
    let state = if bill.closed {
        say("The month is closed.", "本月已结账。")
    } else {
        say("The month is not over: this is what was booked so far.", "本月尚未结束，以下为截至目前的入账金额。")
    };
    let name = escape(bill.party.name());
    let code = language.text("en", "zh-CN");
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"{code}\"><head><meta charset=\"utf-8\"><title>{title} {}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{title} {}</h1>\n",
        escape(&bill.number()),
        escape(&bill.number()),
    );
    let party = match bill.party {
        Party::Tenant(_) => say("Tenant", "租户"),
        Party::Centre(_) => say("Centre", "算力中心"),
    };
    page.push_str(&format!(
        "<p>{party}: <b>{name}</b><br>{}: {} ({} – {})<br>{state}</p>\n",
        say("Month", "账期"),
        month_text(bill.month),
        moment(bill.from),
        moment(bill.until),
    ));
    page.push_str(&table(bill, language));
    page.push_str(&energy(bill, language));
    page.push_str(&format!(
        "<p><small>{}</small></p>\n</body></html>\n",
        say(
            "Work is counted in P·h of its class with the measured rating of the pool; classes are never added. Every \
             line opens down to its meter records: huisuan bill show --trace LINE.",
            "算力用量按资源池实测标定值、以各类别的 P·h 计量，不同类别不相加。每一行均可追溯到计量记录：huisuan bill show \
             --trace LINE。",
        )
    ));
    page
}

fn table(bill: &Bill, language: Language) -> String {
    let say = |english, chinese| language.text(english, chinese);
    let first = match bill.party {
        Party::Tenant(_) => say("Centre", "算力中心"),
        Party::Centre(_) => say("Tenant", "租户"),
    };
    let heads = [
        (first, false),
        (say("Pool", "资源池"), false),
        (say("Class", "类别"), false),
        (say("Project", "项目"), false),
        (say("Tariff", "资费"), false),
        (say("Work, P·h", "用量（P·h）"), true),
        (say("Price per P·h", "单价（每 P·h）"), true),
        (say("Amount", "金额"), true),
    ];
    let cell = |tag: &str, text: &str, right: bool| {
        let class = if right { " class=\"n\"" } else { "" };
        format!("<{tag}{class}>{}</{tag}>", escape(text))
    };
    let mut text = "<table><thead><tr>".to_owned();
    text.extend(heads.iter().map(|(head, right)| cell("th", head, *right)));
    text.push_str("</tr></thead><tbody>\n");
    for line in &bill.lines {
        let first = match bill.party {
            Party::Tenant(_) => line.key.centre.as_str(),
            Party::Centre(_) => line.tenant.as_str(),
        };
        let rule = match line.key.rule {
            0 => say("base price", "基准价").to_owned(),
            rule => format!("{} {rule}", say("rule", "规则")),
        };
        let rule = match line.key.contract {
            Some(under) => format!("{} {}", say("contract", "合同"), under.id),
            None => rule,
        };
        let rule = if line.correction { format!("{rule}, {}", say("correction", "更正")) } else { rule };
        let cells = [
            (first, false),
            (line.key.pool.as_str(), false),
            (class(line.class, language), false),
            (line.key.project.as_str(), false),
            (&rule, false),
            (&p_h(line.work), true),
            (&decimal(i128::from(line.key.price.0), 6), true),
            (&decimal(line.cost, 6), true),
        ];
        text.push_str("<tr>");
        text.extend(cells.iter().map(|(value, right)| cell("td", value, *right)));
        text.push_str("</tr>\n");
    }
    let total = format!("{} {}", bill.currency, decimal(bill.total, 6));
    text.push_str(&format!(
        "</tbody><tfoot><tr><td colspan=\"7\">{}</td>{}</tr></tfoot></table>\n",
        say("Total", "合计"),
        cell("td", &total, true)
    ));
    text
}

/// Energy and CO2 of the month, where anything is known of them.
fn energy(bill: &Bill, language: Language) -> String {
    let say = |english, chinese| language.text(english, chinese);
    let Some(sum) = bill.energy() else { return String::new() };
    let EnergyText { kwh, carbon_kg, .. } = EnergyText::of(Some(sum));
    let mark = match sum.mark {
        Mark::Measured => say("measured", "实测"),
        Mark::Modelled => say("modelled", "模型估算"),
        Mark::Declared => say("declared", "按标称功率"),
    };
    let carbon = match carbon_kg.as_str() {
        "" => String::new(),
        kg => format!("; {}: {kg} kg", say("CO2", "二氧化碳排放")),
    };
    format!("<p>{}: {kwh} kWh ({mark}){carbon}</p>\n", say("Energy", "用电量"))
}

fn class(class: huisuan_model::Class, language: Language) -> &'static str {
    match class {
        huisuan_model::Class::Ai => language.text("ai", "智算"),
        huisuan_model::Class::Hpc => language.text("hpc", "超算"),
        huisuan_model::Class::General => language.text("general", "通算"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use huisuan_model::{Energy, TimeMs};

    use super::*;
    use crate::{
        invoice::{Aliases, csv, focus},
        meter::tests_record as record,
        tariff::month_of_text,
    };

    fn bill() -> Bill {
        let mut rows = [record(1, 1, 1_234_567), record(1, 2, 8), record(2, 1, 3)];
        let month = month_of_text("1970-01").expect("a month");
        rows[2].project = "alpha".parse().expect("a name");
        rows[1].reading.adjusts = Some(1);
        rows[0].reading.energy = Some(Energy { joules: 36, mark: Mark::Modelled, carbon_g_per_kwh: Some(500) });
        Bill::of(Party::Tenant(rows[0].tenant.clone()), month, TimeMs(0), &rows)
    }

    #[test]
    fn pages_are_in_both_languages_and_say_the_total() {
        for (language, words) in [
            (
                Language::English,
                [
                    "<h1>Bill B-1970-01-lab</h1>",
                    "CNY 1.234578",
                    "The month is not over",
                    "correction",
                    "Energy: 0.000010 kWh (modelled); CO2: 0.000005 kg",
                ],
            ),
            (
                Language::Chinese,
                [
                    "<h1>账单 B-1970-01-lab</h1>",
                    "CNY 1.234578",
                    "本月尚未结束",
                    "超算",
                    "用电量: 0.000010 kWh (模型估算)",
                ],
            ),
        ] {
            let page = html(&bill(), language);
            for word in words {
                assert!(page.contains(word), "{word} in {page}");
            }
        }
        assert_eq!(escape("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
    }

    #[test]
    fn every_row_of_a_table_has_every_column() {
        for text in [csv(&bill()), focus(&bill(), Aliases::None), focus(&bill(), Aliases::Version1)] {
            let columns: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
            assert_eq!(columns.len(), 4, "{text}");
            assert!(columns.iter().all(|count| *count == columns[0]), "{text}");
        }
        let header = focus(&bill(), Aliases::None);
        let header: Vec<&str> = header.lines().next().expect("a header").split(',').collect();
        assert!(header.is_sorted_by_key(|name| (name.starts_with("x_"), *name)), "{header:?}");
    }
}
