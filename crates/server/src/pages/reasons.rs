//! Why a job waits, as people read it. English sentences come with the data; Chinese ones are made here of
//! the same numbers.

use huisuan_api::{
    jobs::{Explain, ReasonView, Rejection},
    wire::Amount,
};
use huisuan_model::TimeMs;
use maud::{Markup, html};
use serde_json::Value;

use super::{
    numbers,
    page::Page,
    words::{self, Language},
};

/// The sentence of a reason.
pub(super) fn sentence(page: &Page, code: &str, message: &str, details: &Value) -> String {
    match page.language {
        Language::En => message.to_owned(),
        // A reason that is newer than this file is still told, in English.
        Language::Zh => chinese(code, details).unwrap_or_else(|| message.to_owned()),
    }
}

/// One line for a table: the sentence, with the code in short before it.
pub(super) fn line(page: &Page, reason: &ReasonView) -> Markup {
    let text = sentence(page, &reason.code, &reason.message, &reason.details);
    html! { span.reason title=(reason.code) { (text) } }
}

/// The card on top of a waiting job.
pub(super) fn card(page: &Page, explain: &Explain, reason: &ReasonView, now: TimeMs) -> Markup {
    let code = page.known(words::reason(&reason.code), &reason.code);
    html! {
        section.card.waiting-card aria-labelledby="why" {
            div.card-head {
                h2 #why { (page.say(words::WHY_WAITING)) }
                span.chip.reason-chip title=(reason.code) { (code) }
                span.quiet { (page.say(words::SINCE)) " " (numbers::moment(reason.since, now, page.language)) }
            }
            p.sentence { (sentence(page, &reason.code, &reason.message, &reason.details)) }
            @if !explain.rejected.is_empty() {
                h3 { (page.say(words::OTHER_CENTRES)) }
                ul.rejections {
                    @for rejection in &explain.rejected {
                        li {
                            a.name href=(page.link(&format!("/centres/{}", rejection.centre))) { (rejection.centre) }
                            " "
                            span { (answer(page, rejection)) }
                        }
                    }
                }
            }
            @for help in &explain.helps {
                p { (page.fill(words::HINT, &[&help.change])) " " span.quiet { (help.effect) } }
            }
        }
    }
}

/// What one centre says: it need not name itself again.
fn answer(page: &Page, rejection: &Rejection) -> String {
    let Rejection { code, message, details, .. } = rejection;
    let short = match code.as_str() {
        "no-centre" => Some(page.say(words::NOT_SUITABLE).to_owned()),
        "no-images" => Some(page.say(words::NO_IMAGES).to_owned()),
        "centre-paused" => Some(page.say(words::STATE_PAUSED).to_owned()),
        "centre-absent" => Some(page.say(words::REASON_CENTRE_ABSENT).to_owned()),
        "capacity" => lack(page.language, details),
        _ => None,
    };
    short.unwrap_or_else(|| sentence(page, code, message, details))
}

/// The cores or memory, or both, that are too few.
fn lack(language: Language, details: &Value) -> Option<String> {
    let number = |name: &str| details.get(name)?.as_u64();
    let (cores, free) = (number("needed_millicores")?, number("free_millicores")?);
    let (memory, memory_free) = (number("memory_needed_bytes")?, number("memory_free_bytes")?);
    let size = |millicores: u64| numbers::cores(millicores as f64 / 1000.0, language);
    let cores_lack = words::LACK_CORES.with(language, &[&size(cores), &size(free)]);
    let memory_lack = words::LACK_MEMORY.with(language, &[&numbers::memory(memory), &numbers::memory(memory_free)]);
    Some(match (cores > free, memory > memory_free) {
        (true, false) => cores_lack,
        (false, true) => memory_lack,
        _ => format!("{cores_lack}; {memory_lack}"),
    })
}

/// The sentence in Chinese; `None` for a reason that is not known or lacks its numbers.
#[expect(clippy::too_many_lines, reason = "a catalogue: one sentence for each reason")]
fn chinese(code: &str, details: &Value) -> Option<String> {
    let text = |name: &str| details.get(name)?.as_str();
    let number = |name: &str| details.get(name)?.as_u64();
    let amount = |name: &str| {
        let amount: Amount = serde_json::from_value(details.get(name)?.clone()).ok()?;
        Some(numbers::money(&amount))
    };
    Some(match code {
        "centre-paused" => format!("可接收它的算力中心都已暂停，其中有 {}", text("centre")?),
        "centre-absent" => format!("可接收它的算力中心都已失联，其中有 {}", text("centre")?),
        "centre-closed" => format!("任务可能撞上 {} 的检修：{} 至 {}", text("centre")?, text("from")?, text("until")?),
        "kept" => format!(
            "{} 本可容纳，但会占用预约 {} 在资源池 {} 保留的资源：{} 至 {}",
            text("centre")?,
            number("reservation")?,
            text("pool")?,
            text("from")?,
            text("until")?
        ),
        "reservation-later" => format!("所指定的预约 {} 于 {} 开始", number("reservation")?, text("from")?),
        "reservation-over" => match text("until") {
            Some(until) => format!("所指定的预约 {} 于 {until} 结束，任务来不及完成", number("reservation")?),
            None => format!("所指定的预约 {} 已不存在", number("reservation")?),
        },
        "reservation-full" => format!(
            "预约 {} 保留的资源已被其他作业占用：现可容纳 {} 个任务，须同时启动 {} 个",
            number("reservation")?,
            number("fitting_tasks")?,
            number("needed_tasks")?
        ),
        "no-centre" => match number("centres")? {
            0 => "尚无算力中心加入本网".to_owned(),
            centres => format!("已知的 {centres} 个算力中心现在都不能接收：未连接、未标定或类型不符"),
        },
        "no-images" => format!("可接收它的算力中心都不运行容器镜像（已知 {} 个）", number("centres")?),
        "budget" => {
            let whose = match details.get("limit").and_then(serde_json::Value::as_str) {
                None => "租户可用余额为",
                Some("month") => "租户本月预算仅余",
                Some("hour") => "租户的每小时上限对其时限仅余",
                Some("project") => "项目本月预算仅余",
                Some(_) => return None,
            };
            format!("需冻结 {}，而{whose} {}", amount("needed")?, amount("available")?)
        }
        "job-budget" => format!("需冻结 {}，而作业自身预算仅余 {}", amount("needed")?, amount("left")?),
        "budget-spent" => {
            format!("自身预算已用尽：仅余 {}，最便宜之处也需冻结 {}", amount("left")?, amount("needed")?)
        }
        "quota" => {
            let unit = if text("resource")? == "cores" { "核" } else { "个加速器" };
            let count = |name: &str| Some(number(name)? as f64 / 1000.0);
            let (needed, held) = (count("needed_thousandths")?, count("held_thousandths")?);
            format!("需 {needed} {unit}；租户已占 {held}，配额为 {}", count("limit_thousandths")?)
        }
        "capacity" => {
            let lack = lack(Language::Zh, details)?;
            format!("最接近的 {} 正忙：{lack}（资源池 {}）", text("centre")?, text("pool")?)
        }
        "in-flight" => format!(
            "最接近的 {} 已交付 {} 个任务尚未启动，上限为 {} 个",
            text("centre")?,
            number("in_flight_tasks")?,
            number("most_tasks")?
        ),
        "gang-capacity" => format!(
            "它的 {} 个任务须同时启动；最接近的 {} 现可容纳 {} 个（资源池 {}）",
            number("needed_tasks")?,
            text("centre")?,
            number("fitting_tasks")?,
            text("pool")?
        ),
        "topology-capacity" => {
            let level = match text("level")? {
                "rack" => "机架",
                _ => "机架组（pod）",
            };
            format!(
                "它的 {} 个任务须位于同一{level}；{} 的资源池 {} 中最空的{level}现可容纳 {} 个（全池 {} 个）",
                number("needed_tasks")?,
                text("centre")?,
                text("pool")?,
                number("fitting_tasks")?,
                number("pool_tasks")?
            )
        }
        "latency" => {
            let away = match details["round_trip_us"].as_u64() {
                Some(us) => format!("往返 {} 毫秒", us as f64 / 1000.0),
                None => "到用户处没有已知链路".to_owned(),
            };
            let (bound, centre) = (number("round_trip_max_ms")?, text("centre")?);
            match number("within_centres")? {
                0 => format!("时延上限 {bound} 毫秒：没有足够近的合适中心；最近的 {centre} {away}"),
                near => format!("时延上限 {bound} 毫秒：足够近的 {near} 个中心已满；{centre} 有空位，但{away}"),
            }
        }
        "behind" => format!("优先级更高或更早的 {} 个任务先行；它本可放在 {}", number("ahead_tasks")?, text("centre")?),
        "dependency" => match number("jobs")? {
            1 => format!("等待作业 {}{}", number("job_id")?, becomes(text("when")?)?),
            jobs => format!("等待作业 {}{}，另等待 {} 个作业", number("job_id")?, becomes(text("when")?)?, jobs - 1),
        },
        "dependency-unmet" => {
            let ended = words::state(text("ended")?)?;
            let (on, when) = (number("job_id")?, becomes(text("when")?)?);
            format!("曾等待作业 {on}{when}，而它的结局是：{}", ended.with(Language::Zh, &[]))
        }
        "fair-share" => {
            let held_ppm = number("held_ppm")?;
            format!(
                "持有份额较少的租户的 {} 个任务先行；本租户已持有应得份额的 {}.{}%；它本可放在 {}",
                number("ahead_tasks")?,
                held_ppm / 10_000,
                held_ppm / 1_000 % 10,
                text("centre")?
            )
        }
        "reserved" => format!(
            "{} 现有空位，但资源池 {} 为作业 {} 预留，它最迟于 {} 开始",
            text("centre")?,
            text("pool")?,
            number("job")?,
            text("start_at")?
        ),
        "node-capacity" => {
            let count = |name: &str| Some(number(name)? as f64 / 1000.0);
            format!(
                "最接近的 {} 的资源池 {} 共空闲 {} 个设备，但单个节点至多 {} 个；每个任务需 {} 个",
                text("centre")?,
                text("pool")?,
                count("free_thousandths")?,
                count("node_free_thousandths")?,
                count("needed_thousandths")?
            )
        }
        "parallel-max" => format!("已达到自身的并发上限：{} 个任务", number("limit_tasks")?),
        "not-planned" => "尚未轮到，下一个规划周期处理".to_owned(),
        _ => return None,
    })
}

/// What a job is waited for to do.
fn becomes(when: &str) -> Option<&'static str> {
    Some(match when {
        "ok" => "成功",
        "any" => "结束",
        "not-ok" => "失败或被取消",
        "start" => "开始",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use huisuan_api::reasons::{describe, describe_end};
    use huisuan_model::{
        BudgetLimit, Bytes, CentreId, EndReason, JobId, JobState, MilliDevices, Millicores, Money, PoolId,
        QuotaResource, Reason, ReservationId, TimeMs, When,
    };

    use super::*;

    fn check(reason: Reason, expected: &str) {
        let (_, details) = describe(&reason, "CNY");
        assert_eq!(chinese(reason.code(), &details).as_deref(), Some(expected), "{}", reason.code());
        assert!(words::reason(reason.code()).is_some(), "{}", reason.code());
    }

    #[test]
    fn what_a_job_waits_for_is_told_in_chinese() {
        let dependency = |when, jobs| Reason::Dependency { on: JobId(7), when, jobs };
        check(dependency(When::Ok, 1), "等待作业 7成功");
        check(dependency(When::NotOk, 3), "等待作业 7失败或被取消，另等待 2 个作业");
        let unmet = EndReason::DependencyUnmet { on: JobId(7), when: When::Any, ended: JobState::Failed };
        let sentence = chinese(unmet.code(), &describe_end(&unmet).1);
        assert_eq!(sentence.as_deref(), Some("曾等待作业 7结束，而它的结局是：失败"));
    }

    #[test]
    fn a_latency_bound_is_told_in_chinese() {
        let centre = || CentreId::new("hpc-1").expect("a name");
        let far = |within, round_trip_us| {
            let round_trip_max = huisuan_model::DurationMs(5);
            Reason::Latency { round_trip_max, within, centre: centre(), round_trip_us }
        };
        check(far(0, None), "时延上限 5 毫秒：没有足够近的合适中心；最近的 hpc-1 到用户处没有已知链路");
        check(far(2, Some(8_250)), "时延上限 5 毫秒：足够近的 2 个中心已满；hpc-1 有空位，但往返 8.25 毫秒");
    }

    #[test]
    fn reasons_of_gangs_have_chinese_sentences() {
        let centre = || CentreId::new("hpc-1").expect("a name");
        let pool = || PoolId::new("cpu:x").expect("a name");
        check(
            Reason::GangCapacity { centre: centre(), pool: pool(), needed: 4, fits: 3 },
            "它的 4 个任务须同时启动；最接近的 hpc-1 现可容纳 3 个（资源池 cpu:x）",
        );
        let level = huisuan_model::Level::Rack;
        check(
            Reason::TopologyCapacity { centre: centre(), pool: pool(), level, needed: 8, fits: 5, free: 12 },
            "它的 8 个任务须位于同一机架；hpc-1 的资源池 cpu:x 中最空的机架现可容纳 5 个（全池 12 个）",
        );
    }

    #[test]
    fn reasons_of_reservations_have_chinese_sentences() {
        let centre = CentreId::new("hpc-1").expect("a name");
        let pool = PoolId::new("cpu:x").expect("a name");
        let reservation = ReservationId(3);
        check(
            Reason::Kept { centre, pool, reservation, from: TimeMs(0), until: TimeMs(1000) },
            "hpc-1 本可容纳，但会占用预约 3 在资源池 cpu:x 保留的资源：1970-01-01T00:00:00.000Z 至 1970-01-01T00:00:01.000Z",
        );
        check(
            Reason::ReservationLater { reservation, from: TimeMs(0) },
            "所指定的预约 3 于 1970-01-01T00:00:00.000Z 开始",
        );
        check(
            Reason::ReservationOver { reservation, until: Some(TimeMs(0)) },
            "所指定的预约 3 于 1970-01-01T00:00:00.000Z 结束，任务来不及完成",
        );
        check(Reason::ReservationOver { reservation, until: None }, "所指定的预约 3 已不存在");
        check(
            Reason::ReservationFull { reservation, needed: 4, fits: 1 },
            "预约 3 保留的资源已被其他作业占用：现可容纳 1 个任务，须同时启动 4 个",
        );
    }

    #[test]
    fn a_budget_says_in_chinese_which_limit_it_is() {
        for (limit, whose) in
            [(BudgetLimit::Hour, "租户的每小时上限对其时限仅余"), (BudgetLimit::Project, "项目本月预算仅余")]
        {
            let reason = Reason::Budget { needed: Money(2_500_000), available: Money(1), limit: Some(limit) };
            check(reason, &format!("需冻结 CNY 2.50，而{whose} CNY 0.000001"));
        }
    }

    #[test]
    fn every_reason_has_a_chinese_sentence_with_its_numbers() {
        let centre = || CentreId::new("hpc-1").expect("a name");
        let pool = || PoolId::new("cpu:x").expect("a name");
        let capacity = |needed, free, memory_needed, memory_free| Reason::Capacity {
            centre: centre(),
            pool: pool(),
            needed: Millicores(needed),
            free: Millicores(free),
            memory_needed: Bytes(memory_needed),
            memory_free: Bytes(memory_free),
        };
        check(Reason::CentrePaused { centre: centre() }, "可接收它的算力中心都已暂停，其中有 hpc-1");
        check(Reason::CentreAbsent { centre: centre() }, "可接收它的算力中心都已失联，其中有 hpc-1");
        check(
            Reason::CentreClosed { centre: centre(), from: TimeMs(0), until: TimeMs(1000) },
            "任务可能撞上 hpc-1 的检修：1970-01-01T00:00:00.000Z 至 1970-01-01T00:00:01.000Z",
        );
        check(Reason::NoCentre { centres: 0 }, "尚无算力中心加入本网");
        check(Reason::NoImages { centres: 2 }, "可接收它的算力中心都不运行容器镜像（已知 2 个）");
        check(Reason::NoCentre { centres: 3 }, "已知的 3 个算力中心现在都不能接收：未连接、未标定或类型不符");
        check(
            Reason::Budget { needed: Money(2_500_000), available: Money(1), limit: None },
            "需冻结 CNY 2.50，而租户可用余额为 CNY 0.000001",
        );
        check(
            Reason::JobBudget { needed: Money(2_500_000), left: Money(1) },
            "需冻结 CNY 2.50，而作业自身预算仅余 CNY 0.000001",
        );
        check(capacity(1500, 500, 1, 2), "最接近的 hpc-1 正忙：每个任务需 1.5 核，空闲 0.5 核（资源池 cpu:x）");
        check(
            capacity(1, 2, 3 << 29, 1 << 30),
            "最接近的 hpc-1 正忙：每个任务需内存 1.5 GiB，空闲 1 GiB（资源池 cpu:x）",
        );
        check(
            Reason::InFlight { centre: centre(), in_flight: 70, most: 64 },
            "最接近的 hpc-1 已交付 70 个任务尚未启动，上限为 64 个",
        );
        check(Reason::Behind { ahead: 7, centre: centre() }, "优先级更高或更早的 7 个任务先行；它本可放在 hpc-1");
        check(
            Reason::FairShare { centre: centre(), ahead: 7, held_ppm: 1_234_567 },
            "持有份额较少的租户的 7 个任务先行；本租户已持有应得份额的 123.4%；它本可放在 hpc-1",
        );
        check(
            Reason::Reserved { centre: centre(), pool: pool(), job: JobId(9), start_at: TimeMs(0) },
            "hpc-1 现有空位，但资源池 cpu:x 为作业 9 预留，它最迟于 1970-01-01T00:00:00.000Z 开始",
        );
        let devices = MilliDevices;
        check(
            Reason::NodeCapacity {
                centre: centre(),
                pool: pool(),
                needed: devices(2000),
                node_free: devices(1500),
                free: devices(9000),
            },
            "最接近的 hpc-1 的资源池 cpu:x 共空闲 9 个设备，但单个节点至多 1.5 个；每个任务需 2 个",
        );
        check(Reason::ParallelMax { limit: 2 }, "已达到自身的并发上限：2 个任务");
        check(
            Reason::Quota { resource: QuotaResource::Cores, needed: 500, held: 4000, limit: 4250 },
            "需 0.5 核；租户已占 4，配额为 4.25",
        );
        check(Reason::NotPlanned, "尚未轮到，下一个规划周期处理");
        assert_eq!(chinese("unheard-of", &Value::Null), None);
        assert_eq!(chinese("capacity", &Value::Null), None);
    }
}
