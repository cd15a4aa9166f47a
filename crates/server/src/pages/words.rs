//! Every word of the pages, in both languages. `docs/glossary.md` is the source of the nouns.

use serde::Deserialize;

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Language {
    /// English.
    En,
    /// Simplified Chinese.
    Zh,
}

impl Language {
    /// The word of the language in addresses.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::Zh => "zh",
        }
    }

    /// The tag of the language in HTML.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::Zh => "zh-Hans",
        }
    }
}

/// A word or sentence in English and in Chinese. Some have places `{}` for [`Word::with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(&'static str, &'static str);

impl Word {
    /// The word in one language.
    pub(super) fn text(self, language: Language) -> &'static str {
        match language {
            Language::En => self.0,
            Language::Zh => self.1,
        }
    }

    /// The word with its places filled in order.
    pub(super) fn with(self, language: Language, values: &[&str]) -> String {
        let mut pieces = self.text(language).split("{}");
        let mut text = pieces.next().unwrap_or("").to_owned();
        for (at, piece) in pieces.enumerate() {
            text.push_str(values.get(at).unwrap_or(&""));
            text.push_str(piece);
        }
        text
    }
}

/// Makes a word. A word that lacks a language, or that has another number of places in the other one, does
/// not compile.
const fn word(english: &'static str, chinese: &'static str) -> Word {
    assert!(!english.is_empty() && !chinese.is_empty(), "a word lacks a language");
    assert!(places(english.as_bytes()) == places(chinese.as_bytes()), "a word has other places in Chinese");
    Word(english, chinese)
}

const fn places(text: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    while at + 1 < text.len() {
        if text[at] == b'{' && text[at + 1] == b'}' {
            count += 1;
        }
        at += 1;
    }
    count
}

pub(super) const ACTIVE_ATTEMPTS: Word = word("Active tasks", "活动任务");
pub(super) const AGE: Word = word("data is {} old", "数据已过期 {}");
pub(super) const ALL_JOBS: Word = word("All jobs", "全部作业");
pub(super) const ALL_STATES: Word = word("all", "全部");
pub(super) const ATTEMPT: Word = word("Attempt", "尝试");
pub(super) const ATTEMPTS: Word = word("Attempts", "尝试");
pub(super) const ATTEMPTS_CUT: Word = word("The first {} of {} attempts.", "前 {} 次尝试，共 {} 次。");
pub(super) const ATTEMPTS_NEVER: Word = word("It ended before anything was placed.", "结束前从未放置。");
pub(super) const ATTEMPTS_NONE: Word = word("Nothing has been placed yet.", "尚未放置。");
pub(super) const ALL_WAITING: Word = word("All that wait", "全部等待作业");
pub(super) const ALL_MODELLED: Word =
    word("nothing runs: times, work and cost are modelled", "并无真实作业运行：时间、工作量与费用均为模型推算");
pub(super) const BALANCED: Word = word("ledger balanced", "账目平衡");
pub(super) const CANCEL_REQUESTED: Word = word("cancellation requested", "已请求取消");
pub(super) const CENTRES: Word = word("Centres", "算力中心");
pub(super) const CENTRES_NONE: Word = word("No centre has joined yet.", "尚无算力中心加入。");
pub(super) const CLASS_NEVER_ADDED: Word = word(
    "Each class is counted in its own precision; the three are never added together.",
    "三类算力各按其精度计量，从不相加。",
);
pub(super) const COMMAND: Word = word("Command", "命令");
pub(super) const CONNECTED: Word = word("connected", "已连接");
pub(super) const CORES: Word = word("Cores", "核");
pub(super) const CORES_ONE: Word = word("{} core", "{} 核");
pub(super) const CORES_MANY: Word = word("{} cores", "{} 核");
pub(super) const COST: Word = word("Cost", "费用");
pub(super) const COUNTED_SINCE: Word = word("Counted since", "计量始于");
pub(super) const COST_POSTED: Word = word("Posted cost", "已入账费用");
pub(super) const CPU_TIME: Word = word("{} CPU", "CPU {}");
pub(super) const DEVICES: Word = word("Devices", "加速卡");
pub(super) const DEVICES_ONE: Word = word("{} device", "{} 卡");
pub(super) const DEVICES_MANY: Word = word("{} devices", "{} 卡");
pub(super) const EMITTED: Word = word("{} of CO2", "CO2 {}");
pub(super) const ENDED: Word = word("Ended", "结束");
pub(super) const ENERGY: Word = word("Energy", "用电量");
pub(super) const ENGINE: Word = word("Engine", "执行引擎");
pub(super) const ENVIRONMENT: Word = word("Environment", "环境变量");
pub(super) const ERROR_LOG: Word = word("errors", "错误");
pub(super) const ERROR_BAD_REQUEST: Word = word("This address is not understood", "无法理解此地址");
pub(super) const ERROR_NOT_FOUND: Word = word("There is nothing here", "没有找到");
pub(super) const ERROR_UNAVAILABLE: Word = word("Not available now", "暂时不可用");
pub(super) const EXIT: Word = word("How it ended", "结束方式");
pub(super) const EXIT_CODE: Word = word("exit code {}", "退出码 {}");
pub(super) const FOOTER: Word =
    word("Measured, modelled and declared figures are marked as such.", "实测、模型推算与声明的数字均有标注。");
pub(super) const FULL_STOP: Word = word(".", "。");
pub(super) const HELD: Word = word("{} held", "冻结 {}");
pub(super) const HINT: Word = word("What to do: {}", "建议：{}");
pub(super) const JOB: Word = word("Job", "作业");
pub(super) const JOBS: Word = word("Jobs", "作业");
pub(super) const JOBS_HERE: Word = word("Jobs seen here", "在此运行过的作业");
pub(super) const JOBS_HERE_NOTE: Word = word("Among the newest {} jobs of the network.", "取自全网最新的 {} 个作业。");
pub(super) const JOBS_LIVE: Word = word("{} not ended", "{} 个未结束");
pub(super) const JOBS_NONE: Word = word("No jobs yet. Submit one with", "还没有作业。提交一个：");
pub(super) const JOBS_NONE_HERE: Word = word("No jobs here.", "此处没有作业。");
pub(super) const JOBS_TOTAL: Word = word("{} jobs", "{} 个作业");
pub(super) const JUST_NOW: Word = word("now", "刚刚");
pub(super) const LACK_CORES: Word = word("a task needs {}; free: {}", "每个任务需 {}，空闲 {}");
pub(super) const LACK_MEMORY: Word = word("a task needs {} of memory; free: {}", "每个任务需内存 {}，空闲 {}");
pub(super) const LAST_HEARD: Word = word("Last heard", "最近联系");
pub(super) const LOGS: Word = word("Output", "输出");
pub(super) const MAINTENANCE: Word = word("maintenance", "检修");
pub(super) const MARK_DECLARED: Word = word("declared", "声明");
pub(super) const MARK_MEASURED: Word = word("measured", "实测");
pub(super) const MARK_MODELLED: Word = word("modelled", "模型推算");
pub(super) const MEMORY: Word = word("Memory", "内存");
pub(super) const MEMORY_LIMITS: Word = word("Memory limits", "内存限制方式");
pub(super) const METHOD: Word = word("Method", "方法");
pub(super) const NAMEPLATE: Word = word("nameplate {}", "标称 {}");
pub(super) const NAMEPLATE_HEAD: Word = word("Nameplate", "标称算力");
pub(super) const NEVER_HEARD: Word = word("never", "从未");
pub(super) const NETWORK: Word = word("Network", "算力网");
pub(super) const NEWEST: Word = word("Newest", "最新");
pub(super) const NEXT: Word = word("Older jobs", "更早的作业");
pub(super) const NOT_SUITABLE: Word = word("not connected, not rated or not of this kind", "未连接、未标定或类型不符");
pub(super) const NO_IMAGES: Word = word("runs no container images", "不运行容器镜像");
pub(super) const NO_POOLS: Word = word("No hardware reported yet.", "尚未上报硬件。");
pub(super) const NOT_CONNECTED: Word = word("not connected", "未连接");
pub(super) const NOTHING_USED: Word = word("nothing used yet", "尚未使用");
pub(super) const OF_ALL: Word = word("{} / {}", "{} / {}");
pub(super) const OF_NAMEPLATE: Word = word("{} % of nameplate", "标称的 {} %");
pub(super) const OTHER_CENTRES: Word = word("What each centre says", "各中心的答复");
pub(super) const OTHER_LANGUAGE: Word = word("中文", "English");
pub(super) const OUTPUT_LOG: Word = word("output", "标准输出");
pub(super) const OVERLAPPING: Word =
    word("Cores shared with other centres: never sum.", "与其他中心共用同一批核，切勿相加。");
pub(super) const PACE: Word = word("one second stands for {} seconds", "一秒代表 {} 秒");
pub(super) const PACE_MINUTE: Word = word("one minute stands for one hour", "一分钟代表一小时");
pub(super) const PACE_SECOND: Word = word("one second stands for one hour", "一秒代表一小时");
pub(super) const PER_P_H: Word = word("per P·h", "/ P·h");
pub(super) const PEAK: Word = word("{} peak", "峰值 {}");
pub(super) const PLACED: Word = word("Placed", "放置");
pub(super) const PLANNED: Word = word("Planned", "计划");
pub(super) const PLANNED_FROM: Word = word("Begins", "开始");
pub(super) const PLANNED_HELD: Word = word("Held", "占用");
pub(super) const PLANNED_UNTIL: Word = word("Over", "结束");
pub(super) const PLANNED_WHAT: Word = word("What", "事项");
pub(super) const POOL: Word = word("Pool", "资源池");
pub(super) const POSTINGS: Word = word("{} postings", "{} 条分录");
pub(super) const PROJECT: Word = word("Project", "项目");
pub(super) const QUEUED: Word = word("{} queued there", "另有 {} 在此排队");
pub(super) const RATED: Word = word("Rated", "标定时间");
pub(super) const RATING_VERSION: Word = word("version {}", "第 {} 版");
pub(super) const RECENT: Word = word("Recent jobs", "最近作业");
pub(super) const RESERVATION: Word = word("reservation {}", "预约 {}");
pub(super) const SITE_FEATURES: Word = word("all nodes have: {}", "所有节点均有：{}");
pub(super) const SITE_QOS: Word = word("QOS of our jobs", "本网络作业的 QOS");
pub(super) const SITE_RESERVATION: Word = word("reservation of the site", "站点自有预约");
pub(super) const NODES_MANY: Word = word("{} nodes", "{} 个节点");
pub(super) const RUNNING_FOR: Word = word("running for {}", "已运行 {}");
pub(super) const SIGNAL: Word = word("signal {}", "信号 {}");
pub(super) const SIMULATED: Word = word("SIMULATED", "模拟");
pub(super) const SINCE: Word = word("since", "始于");
pub(super) const SKIP: Word = word("Skip to content", "跳到正文");
pub(super) const SPEC: Word = word("Spec", "作业规格");
pub(super) const SPEC_JSON: Word = word("All of it, as JSON", "完整规格（JSON）");
pub(super) const SPEC_HASH: Word = word("Spec hash", "规格哈希");
pub(super) const STALE_RETRY: Word = word("No contact with the server; trying again.", "与服务器失去联系，正在重试。");
pub(super) const STARTED: Word = word("Started", "开始");
pub(super) const STATE: Word = word("State", "状态");
pub(super) const STATE_ACTIVE: Word = word("active", "接收作业");
pub(super) const STATE_CANCELLED: Word = word("cancelled", "已取消");
pub(super) const STATE_FAILED: Word = word("failed", "失败");
pub(super) const STATE_PAUSED: Word = word("paused", "已暂停");
pub(super) const ALARMS: Word = word("Alarms", "告警");
pub(super) const ALARMS_NOTE: Word = word("somebody has to look at these", "需要人工查看");
pub(super) const STATE_PLACED: Word = word("placed", "已放置");
pub(super) const STATE_UNKNOWN: Word = word("unknown", "状态未知");
pub(super) const STATE_RUNNING: Word = word("running", "运行中");
pub(super) const STATE_SUCCEEDED: Word = word("succeeded", "成功");
pub(super) const STATE_WAITING: Word = word("waiting", "等待");
pub(super) const SUBMITTED: Word = word("Submitted", "提交");
pub(super) const ATTACHED: Word = word("Attached now", "当前接入");
pub(super) const SUBMITTED_BY: Word = word("Submitted by", "提交者");
pub(super) const DOUBTED: Word = word("Not believed, nothing new is placed here: {}", "标定存疑，暂不放置新任务：{}");
pub(super) const UNCERTIFIED: Word = word("uncertified: not sold in units", "未经测定：不按单位出售");
pub(super) const SUSTAINED_SHORT: Word = word("sustained", "持续");
pub(super) const SUSTAINED: Word = word("Sustained rate", "持续算力");
pub(super) const TAGLINE: Word = word("{} centres, {} connected", "{} 个算力中心，{} 个已连接");
pub(super) const TARIFF: Word = word("Tariff", "资费");
pub(super) const TASK: Word = word("Task", "任务");
pub(super) const TASKS: Word = word("Tasks", "任务");
pub(super) const TENANT: Word = word("Tenant", "租户");
pub(super) const TIME_AFTER: Word = word("in {}", "{}后");
pub(super) const TIME_BEFORE: Word = word("{} ago", "{}前");
pub(super) const TOOK: Word = word("took {}", "用时 {}");
pub(super) const UNBALANCED: Word = word("ledger does NOT balance", "账目不平");
pub(super) const UNRATED: Word = word("not rated yet", "尚未标定");
pub(super) const USED: Word = word("Used", "用量");
pub(super) const USED_SHORT: Word = word("used", "已用");
pub(super) const USED_NOW: Word = word("{} used now", "现用 {}");
pub(super) const WAITED: Word = word("waited {}", "等待 {}");
pub(super) const WAITING_HEAD: Word = word("Waiting, and why", "等待中的作业与原因");
pub(super) const WORK: Word = word("Work", "工作量");
pub(super) const WHERE: Word = word("Where", "所在中心");
pub(super) const WHY_HERE: Word = word("Why there", "放置理由");
pub(super) const WHY_WAITING: Word = word("Why it waits", "等待原因");
pub(super) const ZONE: Word = word("Time zone", "时区");

pub(super) const CAUSE_PREEMPTED: Word = word("made room for another", "被抢占");
pub(super) const CAUSE_CANCELLED: Word = word("cancelled", "被取消");
pub(super) const CAUSE_EXITED: Word = word("exited", "自行退出");
pub(super) const CAUSE_LOST: Word = word("lost from sight", "失去踪迹");
pub(super) const CAUSE_MEMORY: Word = word("memory limit", "超出内存");
pub(super) const CAUSE_START_FAILED: Word = word("could not start", "无法启动");
pub(super) const CAUSE_WALLTIME: Word = word("time limit", "超出时限");

pub(super) const CLASS_AI: Word = word("AI compute", "智算");
pub(super) const CLASS_GENERAL: Word = word("General compute", "通算");
pub(super) const CLASS_HPC: Word = word("Supercomputing", "超算");
pub(super) const PRECISION_AI: Word = word("FP16/BF16 dense", "FP16/BF16 稠密");
pub(super) const PRECISION_GENERAL: Word = word("FP32", "FP32");
pub(super) const PRECISION_HPC: Word = word("FP64", "FP64");

pub(super) const TIME_SECONDS: Word = word("{} s", "{} 秒");
pub(super) const TIME_MINUTES: Word = word("{} min", "{} 分钟");
pub(super) const TIME_HOURS: Word = word("{} h", "{} 小时");
pub(super) const TIME_DAYS: Word = word("{} d", "{} 天");

pub(super) const REASON_LATENCY: Word = word("latency bound", "受时延限制");
pub(super) const REASON_BEHIND: Word = word("behind others", "排在其后");
pub(super) const REASON_BUDGET: Word = word("budget", "余额不足");
pub(super) const REASON_JOB_BUDGET: Word = word("own budget", "自身预算不足");
pub(super) const REASON_QUOTA: Word = word("quota", "配额");
pub(super) const REASON_CAPACITY: Word = word("capacity", "资源占满");
pub(super) const REASON_CENTRE_PAUSED: Word = word("centre paused", "中心暂停");
pub(super) const REASON_GANG_CAPACITY: Word = word("room for all at once", "需同时启动");
pub(super) const REASON_TOPOLOGY_CAPACITY: Word = word("room in one rack", "同一机架不足");
pub(super) const REASON_CENTRE_ABSENT: Word = word("centre away", "中心失联");
pub(super) const REASON_CENTRE_CLOSED: Word = word("maintenance", "检修");
pub(super) const REASON_FAIR_SHARE: Word = word("fair share", "份额靠后");
pub(super) const REASON_NODE_CAPACITY: Word = word("room on one node", "单节点不足");
pub(super) const REASON_IN_FLIGHT: Word = word("queue of the centre", "中心排队中");
pub(super) const REASON_RESERVED: Word = word("kept for another", "为他人预留");
pub(super) const REASON_KEPT: Word = word("reserved in advance", "已被预约");
pub(super) const REASON_RESERVATION_LATER: Word = word("reservation not begun", "预约未开始");
pub(super) const REASON_RESERVATION_OVER: Word = word("reservation over", "预约已结束");
pub(super) const REASON_RESERVATION_FULL: Word = word("reservation full", "预约已占满");
pub(super) const REASON_NO_CENTRE: Word = word("no centre", "无可用中心");
pub(super) const REASON_NO_IMAGES: Word = word("no images", "无镜像支持");
pub(super) const REASON_NOT_PLANNED: Word = word("next cycle", "待规划");
pub(super) const REASON_DEPENDENCY: Word = word("other jobs", "其他作业");
pub(super) const REASON_PARALLEL_MAX: Word = word("own limit", "自身并发上限");

/// The word of a job's, an attempt's or a centre's state; `None` for one that is not known.
pub(super) fn state(state: &str) -> Option<Word> {
    Some(match state {
        "waiting" => STATE_WAITING,
        "placed" => STATE_PLACED,
        "running" => STATE_RUNNING,
        "unknown" => STATE_UNKNOWN,
        "succeeded" => STATE_SUCCEEDED,
        "failed" => STATE_FAILED,
        "cancelled" => STATE_CANCELLED,
        "active" => STATE_ACTIVE,
        "paused" => STATE_PAUSED,
        _ => return None,
    })
}

/// The name of a class and its precision.
pub(super) fn class(class: &str) -> Option<(Word, Word)> {
    Some(match class {
        "ai" => (CLASS_AI, PRECISION_AI),
        "hpc" => (CLASS_HPC, PRECISION_HPC),
        "general" => (CLASS_GENERAL, PRECISION_GENERAL),
        _ => return None,
    })
}

/// The word of an end's cause.
pub(super) fn cause(cause: &str) -> Option<Word> {
    Some(match cause {
        "exited" => CAUSE_EXITED,
        "walltime" => CAUSE_WALLTIME,
        "memory" => CAUSE_MEMORY,
        "cancelled" => CAUSE_CANCELLED,
        "preempted" => CAUSE_PREEMPTED,
        "start-failed" => CAUSE_START_FAILED,
        "lost" => CAUSE_LOST,
        _ => return None,
    })
}

/// The word of a term of a score.
pub(super) fn term(term: &str) -> Option<Word> {
    Some(match term {
        "wait" => word("no wait", "无需等待"),
        "price" => word("price", "价格"),
        "fit" => word("fit", "贴合"),
        "start" => word("start", "启动早晚"),
        "transfer" => word("way of the data", "数据传输"),
        "energy" => word("energy", "能耗"),
        "carbon" => word("carbon", "碳排放"),
        "target" => word("target of the network", "全网目标"),
        "scarcity" => word("scarcity", "稀缺"),
        "moved" => word("moved for another", "为他人让位"),
        _ => return None,
    })
}

/// The word of an honesty mark.
pub(super) fn mark(mark: &str) -> Option<Word> {
    Some(match mark {
        "measured" => MARK_MEASURED,
        "modelled" => MARK_MODELLED,
        "declared" => MARK_DECLARED,
        _ => return None,
    })
}

/// The short word of a reason's code.
pub(super) fn reason(code: &str) -> Option<Word> {
    Some(match code {
        "centre-paused" => REASON_CENTRE_PAUSED,
        "centre-absent" => REASON_CENTRE_ABSENT,
        "centre-closed" => REASON_CENTRE_CLOSED,
        "no-centre" => REASON_NO_CENTRE,
        "no-images" => REASON_NO_IMAGES,
        "budget" => REASON_BUDGET,
        "job-budget" => REASON_JOB_BUDGET,
        "quota" => REASON_QUOTA,
        "capacity" => REASON_CAPACITY,
        "gang-capacity" => REASON_GANG_CAPACITY,
        "topology-capacity" => REASON_TOPOLOGY_CAPACITY,
        "latency" => REASON_LATENCY,
        "behind" => REASON_BEHIND,
        "fair-share" => REASON_FAIR_SHARE,
        "node-capacity" => REASON_NODE_CAPACITY,
        "in-flight" => REASON_IN_FLIGHT,
        "reserved" => REASON_RESERVED,
        "kept" => REASON_KEPT,
        "reservation-later" => REASON_RESERVATION_LATER,
        "reservation-over" => REASON_RESERVATION_OVER,
        "reservation-full" => REASON_RESERVATION_FULL,
        "dependency" => REASON_DEPENDENCY,
        "parallel-max" => REASON_PARALLEL_MAX,
        "not-planned" => REASON_NOT_PLANNED,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use huisuan_model::{AttemptState, Class, JobState};

    use super::*;

    #[test]
    fn places_are_filled_in_order() {
        assert_eq!(OF_ALL.with(Language::En, &["1", "2"]), "1 / 2");
        assert_eq!(ATTEMPTS_CUT.with(Language::Zh, &["100", "700"]), "前 100 次尝试，共 700 次。");
        assert_eq!(places(b"{} and {}"), 2);
        assert_eq!(places(b"{"), 0);
    }

    #[test]
    fn every_word_of_the_model_has_one_here() {
        JobState::ALL.into_iter().for_each(|known| assert!(state(known.as_str()).is_some(), "{known:?}"));
        for known in [
            AttemptState::Placed,
            AttemptState::Running,
            AttemptState::Succeeded,
            AttemptState::Failed,
            AttemptState::Cancelled,
        ] {
            assert!(state(known.as_str()).is_some(), "{known:?}");
        }
        Class::ALL.into_iter().for_each(|known| assert!(class(known.as_str()).is_some(), "{known}"));
    }
}
