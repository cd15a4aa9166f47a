//! Values of flags that have no reader elsewhere.

use huisuan_api::{Timestamp, spec::quantity};
use huisuan_model::{CentreId, Class, Dependency, DurationMs, Money, ProjectId, RangeSet, TimeMs, When, tenant::Limit};

/// What an operator declares of a centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Its name.
    pub(crate) centre: CentreId,
    /// The class it is run as.
    pub(crate) class: Class,
    /// The price of one P·h of its class.
    pub(crate) price_per_p_h: Money,
    /// Its IANA time zone.
    pub(crate) zone: String,
}

/// A centre as `hpc-1:hpc`, `hpc-1:hpc:2400` or `hpc-1:hpc:2400:Asia/Shanghai`.
pub(crate) fn centre(text: &str) -> Result<Declared, String> {
    let mut parts = text.splitn(4, ':');
    let (Some(name), Some(class)) = (parts.next(), parts.next()) else {
        return Err("a centre is NAME:CLASS, such as hpc-1:hpc".to_owned());
    };
    let price = parts.next().unwrap_or("0");
    Ok(Declared {
        centre: CentreId::new(name).map_err(|error| error.to_string())?,
        class: class.parse()?,
        price_per_p_h: quantity::money(price).map_err(|error| error.to_string())?,
        zone: parts.next().unwrap_or("UTC").to_owned(),
    })
}

/// Tasks as in job files: a bare number is a count, anything else lists indices.
pub(crate) fn tasks(text: &str) -> Result<RangeSet, String> {
    if let Ok(count @ 1..) = text.parse::<u32>() {
        return Ok(RangeSet::from_range(0, count - 1));
    }
    match text.parse::<RangeSet>() {
        Ok(set) if !set.is_empty() && text != "0" => Ok(set),
        _ => Err("tasks are a count such as 4, or indices such as 0-99,105 or 1-10:2".to_owned()),
    }
}

/// A job to wait for, as `12` or `any:12`.
pub(crate) fn after(text: &str) -> Result<Dependency, String> {
    let (word, job) = text.split_once(':').unwrap_or((When::Ok.as_str(), text));
    let when = When::ALL.into_iter().find(|when| when.as_str() == word);
    let when = when.ok_or_else(|| format!("`{word}` is none of ok, any, not-ok, start"))?;
    Ok(Dependency { job: job.parse().map_err(|error: huisuan_model::ids::IdError| error.to_string())?, when })
}

/// A project and its weight, as `alpha` or `alpha:2`.
pub(crate) fn project(text: &str) -> Result<(ProjectId, u32), String> {
    let (name, weight) = match text.rsplit_once(':') {
        Some((name, weight)) => (name, weight.parse().map_err(|_| format!("`{weight}` is not a weight"))?),
        None => (text, 1),
    };
    Ok((ProjectId::new(name).map_err(|error| error.to_string())?, weight))
}

/// What is taken off a price, in thousandths: `15%` or `12.5`.
pub(crate) fn discount(text: &str) -> Result<u16, String> {
    let error = || format!("`{text}` is no discount: 0.1% to 100%, in tenths of a percent");
    let (whole, tenths) = text.trim_end_matches('%').split_once('.').unwrap_or((text.trim_end_matches('%'), "0"));
    if tenths.len() != 1 {
        return Err(error());
    }
    let number = |text: &str| text.parse::<u16>().map_err(|_| error());
    let permille = number(whole)?.checked_mul(10).and_then(|whole| whole.checked_add(number(tenths).ok()?));
    permille.filter(|permille| (1..=1000).contains(permille)).ok_or_else(error)
}

/// A limit of money as `1000`, `12.50` or `none`.
pub(crate) fn budget(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit::None);
    }
    let money = quantity::money(text).map_err(|error| format!("{error}, or none"))?;
    u64::try_from(money.0).map(Limit::Most).map_err(|_| "a limit is not negative".to_owned())
}

/// A project's limit as `alpha=1000` or `alpha=none`.
pub(crate) fn project_budget(text: &str) -> Result<(ProjectId, Limit), String> {
    let (name, amount) = text.split_once('=').ok_or("a project's budget is NAME=AMOUNT")?;
    Ok((ProjectId::new(name).map_err(|error| error.to_string())?, budget(amount)?))
}

/// A port of a session, and the one of this machine that leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forward {
    /// The port that the session listens on.
    pub(crate) remote: u16,
    /// The port of 127.0.0.1 here; 0 takes a free one.
    pub(crate) local: u16,
}

/// A port as `8888`, or `8888:9999` where another one is meant here.
pub(crate) fn forward(text: &str) -> Result<Forward, String> {
    let (remote, local) = text.split_once(':').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is no port: 1 to 65535"));
    match (port(remote)?, port(local)?) {
        (0, _) => Err("port 0 of a session is none: 1 to 65535".to_owned()),
        (remote, local) => Ok(Forward { remote, local }),
    }
}

/// A variable of the environment.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a variable is NAME=VALUE".to_owned()),
    }
}

/// A moment as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// That moment.
    At(Timestamp),
    /// So long after now.
    In(DurationMs),
}

impl Moment {
    /// The moment, when it is `now`.
    pub(crate) fn at(self, now: TimeMs) -> Timestamp {
        match self {
            Moment::At(time) => time,
            Moment::In(span) => Timestamp(now.after(span)),
        }
    }
}

/// A moment as `2026-03-01T20:00:00+08:00`, `now` or `+2h`.
pub(crate) fn moment(text: &str) -> Result<Moment, String> {
    match text.strip_prefix('+') {
        _ if text == "now" => Ok(Moment::In(DurationMs::ZERO)),
        Some(span) => quantity::duration(span).map(Moment::In).map_err(|error| error.to_string()),
        None => text.parse().map(Moment::At).map_err(|error| format!("{error}, `now` or `+2h`")),
    }
}

/// `yes` or `no`.
pub(crate) fn yes(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("`{text}` is neither yes nor no")),
    }
}

/// A path of the API.
pub(crate) fn path(text: &str) -> Result<String, String> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err("a path begins with a slash, such as /v1/jobs".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_of_tasks_is_a_count() {
        let written = |text: &str| tasks(text).map(|set| set.to_string());
        assert_eq!(written("4"), Ok("0-3".to_owned()));
        assert_eq!(written("1"), Ok("0".to_owned()));
        assert_eq!(written("1-10:3"), Ok("1,4,7,10".to_owned()));
        for bad in ["", "0", "-1", "4-2", "x"] {
            assert!(tasks(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_centre_has_a_class_and_may_have_a_price_and_a_zone() {
        let full = centre("hpc-1:hpc:2.5:Asia/Shanghai").expect("a centre");
        assert_eq!((full.class, full.price_per_p_h, &*full.zone), (Class::Hpc, Money(2_500_000), "Asia/Shanghai"));
        assert_eq!(centre("x:ai").map(|plain| (plain.price_per_p_h, plain.zone)), Ok((Money(0), "UTC".to_owned())));
        for bad in ["", "hpc-1", "hpc-1:big", "-:hpc", "x:hpc:free"] {
            assert!(centre(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_job_to_wait_for_is_a_number_with_a_condition() {
        let written = |text: &str| after(text).map(|after| (after.job.0, after.when));
        assert_eq!(written("12"), Ok((12, When::Ok)));
        assert_eq!(written("not-ok:7"), Ok((7, When::NotOk)));
        for bad in ["", "0", "any:", "afterok:3", "any:x", "last"] {
            assert!(after(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_forwarded_port_may_have_another_number_here() {
        assert_eq!(forward("8888"), Ok(Forward { remote: 8888, local: 8888 }));
        assert_eq!(forward("8888:0"), Ok(Forward { remote: 8888, local: 0 }));
        for bad in ["", "0", "0:1", "70000", "a:1", "1:", "1:2:3", "-1"] {
            assert!(forward(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_absolute_or_from_now_on() {
        let at = |text: &str| moment(text).map(|moment| moment.at(TimeMs(5_000)).0.0);
        assert_eq!(at("now"), Ok(5_000));
        assert_eq!(at("+2m"), Ok(125_000));
        assert_eq!(at("1970-01-01T08:00:01+08:00"), Ok(1_000));
        for bad in ["", "tomorrow", "+", "+2", "2026-03-01"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_discount_is_in_tenths_of_a_percent() {
        for (text, permille) in [("15%", 150), ("12.5", 125), ("0.1%", 1), ("100%", 1000)] {
            assert_eq!(discount(text), Ok(permille), "{text}");
        }
        for bad in ["", "%", "0", "0.0%", "100.1", "101", "12.55", "-1", "9999999", "1.", "x%"] {
            assert!(discount(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_project_may_have_a_weight() {
        let read = |text: &str| project(text).map(|(project, weight)| (project.to_string(), weight));
        assert_eq!(read("alpha"), Ok(("alpha".to_owned(), 1)));
        assert_eq!(read("a:b:3"), Ok(("a:b".to_owned(), 3)));
        assert!(read("a:b").is_err() && read(":1").is_err());
    }

    #[test]
    fn a_budget_is_money_or_none() {
        assert_eq!(budget("12.50"), Ok(Limit::Most(12_500_000)));
        assert_eq!(budget("none"), Ok(Limit::None));
        let read = |text: &str| project_budget(text).map(|(project, limit)| (project.to_string(), limit));
        assert_eq!(read("alpha=0"), Ok(("alpha".to_owned(), Limit::Most(0))));
        for bad in ["alpha", "=1", "alpha=much", "alpha=-1"] {
            assert!(project_budget(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_keep_everything_after_the_first_sign() {
        assert_eq!(variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(variable("A="), Ok(("A".to_owned(), String::new())));
        assert!(variable("A").is_err() && variable("=b").is_err());
    }
}
