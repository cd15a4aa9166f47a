//! A network that somebody wrote, as a scenario file: what is imported is put into its text, whose comments stay.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Spanned;

use super::{Imported, JOBS_FILE, Network, jobs_csv, network::id_of};
use crate::{
    read::{ReadError, Text, read_text},
    scenario::Scenario,
};

/// What is changed or must be known of a scenario file that was checked as a whole.
#[derive(Debug, Clone, Deserialize)]
struct Head {
    hours: Spanned<f64>,
    #[serde(default)]
    tenant: Vec<Tenant>,
    #[serde(default)]
    centre: Vec<Centre>,
    #[serde(default)]
    trace: Vec<Trace>,
}

#[derive(Debug, Clone, Deserialize)]
struct Tenant {
    id: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Centre {
    id: Spanned<String>,
    power_cny_per_kwh: Option<Spanned<toml::Value>>,
    carbon_g_per_kwh: Option<Spanned<toml::Value>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Trace {
    file: Spanned<String>,
}

/// A scenario that is there to be used as a network.
#[derive(Debug, Clone)]
pub struct NetworkFile {
    text: Text,
    head: Head,
    traces: BTreeMap<String, Text>,
}

/// A scenario made from files, with the traces that it names.
#[derive(Debug, Clone)]
pub struct Made {
    /// The scenario.
    pub toml: Text,
    /// Its traces by the names by which it refers to them.
    pub traces: BTreeMap<String, Text>,
    /// The place of the imported jobs among its families, where it has any.
    pub family: Option<usize>,
}

impl Made {
    /// The scenario, checked.
    ///
    /// # Errors
    /// Those of [`read_scenario`](crate::scenario::read_scenario), with lines of the made text.
    pub fn scenario(&self) -> Result<Scenario, ReadError> {
        let missing = |name: &str| self.toml.form(1, format!("no trace `{name}`"), "a made scenario has its traces");
        Scenario::parse_with(&self.toml, &|name| self.traces.get(name).cloned().ok_or_else(|| missing(name)))
    }
}

impl NetworkFile {
    /// Reads and checks a scenario file and its traces.
    ///
    /// # Errors
    /// Those of [`read_scenario`](crate::scenario::read_scenario), and a trace that does not lie beside the file.
    pub fn read(path: &Path) -> Result<NetworkFile, ReadError> {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        NetworkFile::of(read_text(path)?, &|name| read_text(&folder.join(name)))
    }

    fn of(text: Text, traces: &dyn Fn(&str) -> Result<Text, ReadError>) -> Result<NetworkFile, ReadError> {
        Scenario::parse_with(&text, traces)?;
        let head: Head = toml::from_str(&text.text).expect("a scenario that was read has these fields");
        let mut found = BTreeMap::new();
        for trace in &head.trace {
            let name = trace.file.get_ref();
            if PathBuf::from(name).file_name().is_none_or(|plain| plain != name.as_str()) {
                let line = text.text[..trace.file.span().start].lines().count() as u64;
                return Err(text.field(line.max(1), "file", name, "the name of a file beside the network"));
            }
            found.insert(name.clone(), traces(name)?);
        }
        Ok(NetworkFile { text, head, traces: found })
    }

    /// The network with imported jobs beside what it has, from its own first moment on. It lasts until the last of them
    /// might have ended if none waited, and no shorter than it did. They go to any centre with their hardware.
    pub fn with_jobs(&self, name: &str, imported: &Imported) -> Made {
        let workload = &imported.workload;
        let name = id_of(name, "imported");
        let numbered = (2..).map(|number: u64| format!("jobs-{number}.csv"));
        let mut files = std::iter::once(JOBS_FILE.to_owned()).chain(numbered);
        let file = files.find(|file| !self.traces.contains_key(file)).expect("numbers do not end");
        let csv = jobs_csv(workload, &Network { centres: Vec::new() }, true);
        let start_ms = workload.jobs.first().map_or(0, |job| job.submit_at_ms);
        let ends_ms = workload.jobs.iter().map(|job| job.submit_at_ms.abs_diff(start_ms).saturating_add(job.run_ms));
        let needed_h = ends_ms.max().unwrap_or(0) / 3_600_000 + 1;
        let mut text = self.text.text.clone();
        if needed_h as f64 > *self.head.hours.get_ref() {
            text.replace_range(self.head.hours.span(), &needed_h.min(87_840).to_string());
        }
        let mut tenants: BTreeSet<&str> = csv.lines().skip(1).filter_map(|line| line.split(',').nth(11)).collect();
        self.head.tenant.iter().for_each(|tenant| {
            tenants.remove(tenant.id.as_str());
        });
        let _ = write!(text, "\n\n# Imported from {} by `huisuan twin import`.\n", imported.format.name());
        imported.assumed.iter().for_each(|assumed| {
            let _ = writeln!(text, "# assumed: {assumed}");
        });
        for tenant in tenants {
            let _ = write!(text, "[[tenant]]\nid = \"{tenant}\"\nfunds_cny = {FUNDS_CNY} # assumed\n");
        }
        let _ = write!(text, "[[trace]]\nname = \"{name}\"\nfile = \"{file}\"\n");
        let mut traces = self.traces.clone();
        traces.insert(file.clone(), Text::new(&file, csv));
        let mut made = Made { toml: Text::new(&self.text.file, text), traces, family: None };
        made.family = made.scenario().ok().map(|scenario| scenario.facts.families.len() - 1);
        made
    }

    /// The names of its centres.
    pub(super) fn centres(&self) -> Vec<&str> {
        self.head.centre.iter().map(|centre| centre.id.get_ref().as_str()).collect()
    }

    /// The file that it was read from.
    pub(super) fn file(&self) -> String {
        self.text.file.display().to_string()
    }

    /// The network with another text for a field of a centre, or with this field where it has none; `None` without
    /// such a centre.
    pub(super) fn with_field(&self, centre: &str, field: HourlyField, value: &str, note: &str) -> Option<Made> {
        let found = self.head.centre.iter().find(|found| found.id.get_ref() == centre)?;
        let (name, present) = match field {
            HourlyField::Power => ("power_cny_per_kwh", &found.power_cny_per_kwh),
            HourlyField::Carbon => ("carbon_g_per_kwh", &found.carbon_g_per_kwh),
        };
        let mut text = self.text.text.clone();
        match present {
            Some(present) => text.replace_range(present.span(), value),
            None => text.insert_str(line_after(&text, found.id.span()), &format!("# {note}\n{name} = {value}\n")),
        }
        Some(Made { toml: Text::new(&self.text.file, text), traces: self.traces.clone(), family: None })
    }
}

/// What each new tenant may spend where a network has prices: no import tells of money, and none shall run out of it.
const FUNDS_CNY: u64 = 1_000_000_000;

/// A field with a figure for every hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HourlyField {
    /// Yuan per kWh.
    Power,
    /// Grams of CO2 per kWh.
    Carbon,
}

/// Where the line after a place begins.
fn line_after(text: &str, place: Range<usize>) -> usize {
    text[place.end..].find('\n').map_or(text.len(), |end| place.end + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Assumptions, Format, import_jobs};

    const NETWORK: &str = "name = \"n\" # kept\nstart = 2025-07-01T00:00:00+08:00\nhours = 1\nseed = 3\n\
        [[tenant]]\nid = \"nobody\"\nfunds_cny = 5\n\
        [[centre]]\nid = \"here\" # and this\nclass = \"general\"\nprice_cny_per_p_h = 1\npower_cny_per_kwh = 0.5\n\
        [[centre.pool]]\npart = \"cpu\"\nnodes = 1\nnode_tflops = 5\nnode_cores = 64\nnode_memory_gib = 256\n\
        sustained_percent = 80\n";

    fn network(text: &str) -> Result<NetworkFile, ReadError> {
        let none = |name: &str| Err(Text::new(name, "").form(1, "gone", "none"));
        NetworkFile::of(Text::new("n.toml", text), &none)
    }

    fn gaia() -> Imported {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let file = folder.path().join("gaia.csv");
        std::fs::write(&file, "arrival_time,length,cpus\n10,2,4\n10,1,2\n13,0.5,1\n").expect("space on disk");
        import_jobs(Format::Gaia, &[file], &Assumptions::default()).expect("well formed")
    }

    #[test]
    fn jobs_come_beside_what_a_network_has() {
        let network = network(NETWORK).expect("well formed");
        let made = network.with_jobs("year one", &gaia());
        for part in
            ["# kept\n", "hours = 4\n", "# assumed: no job tells a limit", "name = \"year-one\"\nfile = \"jobs.csv\""]
        {
            assert!(made.toml.text.contains(part), "{part} in {}", made.toml.text);
        }
        let scenario = made.scenario().expect("a whole scenario");
        assert_eq!((scenario.trace.len(), scenario.setup.tenants.len(), made.family), (3, 1, Some(0)));
        // What was made is a network again, and the next trace gets a name of its own.
        let again = NetworkFile::of(made.toml.clone(), &|name| Ok(made.traces[name].clone())).expect("well formed");
        let twice = again.with_jobs("two", &gaia());
        assert_eq!(twice.traces.keys().collect::<Vec<_>>(), ["jobs-2.csv", "jobs.csv"]);
        assert_eq!((twice.scenario().expect("a whole scenario").trace.len(), twice.family), (6, Some(1)));
    }

    #[test]
    fn a_field_of_a_centre_is_replaced_or_added() {
        let network = network(NETWORK).expect("well formed");
        let power = network.with_field("here", HourlyField::Power, "0.75", "why").expect("a centre").toml.text;
        assert!(power.contains("power_cny_per_kwh = 0.75\n") && !power.contains("why"), "{power}");
        let carbon = network.with_field("here", HourlyField::Carbon, "400", "why").expect("a centre").toml.text;
        assert!(carbon.contains("id = \"here\" # and this\n# why\ncarbon_g_per_kwh = 400\nclass"), "{carbon}");
        assert!(network.with_field("there", HourlyField::Carbon, "400", "why").is_none());
    }

    #[test]
    fn a_network_is_checked_as_a_scenario() {
        let error = network(&NETWORK.replace("nodes = 1", "nodes = 0")).expect_err("no nodes").to_string();
        assert!(error.contains("file `n.toml` line 15, field `nodes`"), "{error}");
        let far = format!("{NETWORK}[[trace]]\nname = \"t\"\nfile = \"../t.csv\"\n");
        assert!(network(&far).is_err());
    }
}
