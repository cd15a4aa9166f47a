//! What holds for every reader: no text makes it panic, and the public traces are read whole.

use std::path::PathBuf;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::import::{
    Assumptions, Format, Gives, Network, Options, Workload, compare, jobs_csv, jobs_of, scenario_toml, simulate,
};

/// A well-formed file of every format, to be damaged.
const CORPUS: [&str; 12] = [
    "timestamp,duration,num_gpus,gpu_time,cluster\n2017-10-09 07:01:55,66.0,1,66.0,aaaaaa\n",
    "name,time,application,num_replicas,batch_size\nb-0,107,b,6,2048\n",
    "arrival_time,length,cpus\n10.5,0.25,2\n0.0,19.083333333333332,4\n",
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6809900,374,44\n",
    "time,DAM_price\n30oct2022 02:00:00,.2\n30oct2022 02:00:00,-.3\n27mar2022 02:00:00,\n",
    "\"timestamp\",\"carbon_intensity\"\n2022-01-01 00:00:00.000,29.001127704967995\n",
    "NODELIST|PARTITION|CPUS|MEMORY|GRES\nn1|batch*|16|16000|gpu:h100:4(S:0-1)\nn2|short|8|1024|(null)\n",
    "JobID|User|Account|Partition|State|Submit|Eligible|Start|End|Elapsed|Timelimit|NNodes|NCPUS|ReqMem|ReqTRES|\
     AllocTRES|NodeList\n7_[1-3]|a|b|p|CANCELLED by 0|2026-01-31T08:00:00|Unknown|None|1769846400|1-00:00:00|\
     Partition_Limit|2|8|4Gn|cpu=8,gres/gpu:h100=2|cpu=8,mem=1.5G,node=2|n[1-2]\n8|a|b|p|COMPLETED|1769846400|1769846401|\
     1769846402|1769846502|00:01:40|00:10:00|1|4|4G|cpu=4|cpu=4,gres/gpu:h100=2,mem=4G,node=1|n1\n",
    "; MaxProcs: 8\n; MaxNodes: -1\n1 5.5 3 60 4 -1 -1 4 90 -1 1 5 6 -1 -1 1 -1 -1\n2 7 -1 5 -1 2 9 -1 -1 10 0 -1 -1 1 1 2 1 9\n",
    "sn,cpu_milli,memory_mib,gpu,model\nn1,96000,262144,8,V100M16\nn2,64000,131072,0,\n",
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\na,4000,1024,1,470,\nb,8000,2048,2,1000,V100M16|T4\nc,100,1,0,0,\n",
    "{\"k80\": {\"('A (batch size 1)', 2)\": {\"null\": 4.5, \"('B', 2)\": [2.25, 0]}}}",
];

/// Runs every reader on a text; what they answer does not matter.
fn read_all(text: &str) {
    let text = Text::new("any", text);
    let zone = time::zone("Europe/Brussels");
    for (format, name, ..) in Format::ALL.into_iter().filter(|row| row.2 == Gives::Jobs && row.0 != Format::Sacct) {
        if let Ok(told) = jobs_of(format, &text, &Assumptions::default()) {
            let network = Network::of_jobs(&told.workload, name, told.processors, format == Format::Swf);
            run_all(&told.workload, &network);
        }
    }
    let models = ["V100M16".to_owned(), "T4".to_owned()];
    let _ = read_openb_nodes(&text);
    let _ = read_openb_tasks(&text, &models);
    let _ = energy::read_prices(&text, zone.as_ref().unwrap_or(&TimeZone::UTC));
    let _ = energy::read_carbon(&text);
    let _ = gavel::read_gavel(&text);
    let _ = sinfo::read_sinfo(&text);
    let _ = Workload::read(&text);
    if let Ok(dump) = sacct::read_sacct(&text, zone.as_ref()) {
        run_all(&Workload::of_sacct(&dump.jobs), &Network::of_sacct(&dump.jobs, &[]));
    }
}

/// What is made of jobs that were read, and its run.
fn run_all(workload: &Workload, network: &Network) {
    let _ = scenario_toml("any", workload, network) + &jobs_csv(workload, network, false);
    let simulation = simulate(workload, network, &Options::default(), |_, _| {});
    let _ = compare(workload, &simulation);
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in "[ -~\u{6c47}\t\r\n]{0,200}") {
        read_all(&text);
    }

    #[test]
    fn no_damage_makes_a_reader_panic(
        which in 0..CORPUS.len(), cut in any::<prop::sample::Index>(), end in any::<prop::sample::Index>(),
        put in "([0-9]{1,25}|[-.,|:\"\\[\\]\r\n]|None|e9|\u{6c47}){0,3}",
    ) {
        let whole = CORPUS[which];
        let (cut, end) = (cut.index(whole.len() + 1), end.index(whole.len() + 1));
        let (cut, end) = (cut.min(end), cut.max(end));
        // Half of the cases only insert, so that headers stay whole.
        let end = if cut % 2 == 0 { cut } else { end };
        read_all(&format!("{}{put}{}", &whole[..cut], &whole[end..]));
    }
}

#[test]
fn the_corpus_is_well_formed() {
    let text = |which: usize| Text::new("corpus", CORPUS[which]);
    assert_eq!(philly::read_philly(&text(0)).expect("philly").len(), 1);
    assert_eq!(philly::read_sia(&text(1)).expect("sia").len(), 1);
    assert_eq!(gaia::read_gaia(&text(2)).expect("gaia").len(), 2);
    assert_eq!(azure::read_azure(&text(3)).expect("azure").len(), 1);
    assert_eq!(energy::read_carbon(&text(5)).expect("carbon").points.len(), 1);
    assert_eq!(sinfo::read_sinfo(&text(6)).expect("sinfo").len(), 2);
    assert_eq!(read_swf(&text(8)).expect("swf").jobs.len(), 2);
    let nodes = read_openb_nodes(&text(9)).expect("openb nodes");
    assert_eq!(nodes.rooms.len(), 2);
    assert_eq!(read_openb_tasks(&text(10), &["V100M16".to_owned(), "T4".to_owned()]).expect("openb tasks").len(), 3);
    assert_eq!(gavel::read_gavel(&text(11)).expect("gavel").len(), 1);
    assert_eq!(sacct::read_sacct(&text(7), Some(&TimeZone::UTC)).expect("sacct").counts.never_started, 1);
}

/// A public trace, where `HUISUAN_TRACES` says that they are. Without it the tests below do nothing but say so: the
/// traces are other people's and no part of the repository; `docs/traces.md` tells where to get them.
fn trace(path: &str) -> Option<Text> {
    let Some(folder) = std::env::var_os("HUISUAN_TRACES") else {
        println!("HUISUAN_TRACES is not set: {path} was not read");
        return None;
    };
    Some(read_text(&PathBuf::from(folder).join(path)).expect("the trace is there"))
}

/// One file of a tar archive of small texts.
fn member(archive: &Text, path: &str) -> Text {
    let mut rest = archive.text.as_bytes();
    while rest.len() > 512 {
        let (head, body) = rest.split_at(512);
        let field = |from: usize, length: usize| {
            std::str::from_utf8(&head[from..from + length]).expect("text").trim_matches(['\0', ' ']).to_owned()
        };
        let bytes = usize::from_str_radix(&field(124, 12), 8).unwrap_or(0);
        if field(0, 100) == path {
            return Text::new(path, std::str::from_utf8(&body[..bytes]).expect("text"));
        }
        rest = &body[bytes.next_multiple_of(512).min(body.len())..];
    }
    panic!("no {path} in {}", archive.file.display());
}

#[test]
fn public_philly_and_sia_are_read_whole() {
    let Some(archive) = trace("sia/sia_traces_philly.tar.gz") else { return };
    let jobs = philly::read_philly(&member(&archive, "traces/philly.csv")).expect("well formed");
    assert_eq!(jobs.len(), 82_247);
    assert_eq!(jobs.iter().map(|job| u64::from(job.devices)).max(), Some(128));
    assert_eq!(jobs.iter().filter(|job| job.devices == 1).count(), 76_627);
    for number in 1..=8 {
        let workload = member(&archive, &format!("workloads/philly/workload-{number}.csv"));
        assert_eq!(philly::read_sia(&workload).expect("well formed").len(), 160);
    }
}

#[test]
fn public_gaia_is_read_whole() {
    for (path, jobs) in [("gaia/azure-100k.csv.gz", 99_988), ("gaia/pai-100k.csv.gz", 99_998)] {
        let Some(text) = trace(path) else { return };
        assert_eq!(gaia::read_gaia(&text).expect("well formed").len(), jobs, "{path}");
    }
}

#[test]
fn public_azure_is_read_whole() {
    let Some(text) = trace("azure/AzureLLMInferenceTrace_conv.csv") else { return };
    let requests = azure::read_azure(&text).expect("well formed");
    assert_eq!(requests.len(), 19_366);
    assert_eq!(requests[0].at_ms, 1_700_158_546_680);
}

#[test]
fn public_prices_are_read_whole() {
    let Some(text) = trace("energy/BE_dayahead_2022_2024_DAM_prices.csv") else { return };
    let brussels = time::zone("Europe/Brussels").expect("a known zone");
    let series = energy::read_prices(&text, &brussels).expect("well formed");
    // Three springs skip an hour each and three autumns have one twice; the last hours of the file are empty.
    let gaps: Vec<i64> =
        series.points.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|&ms| ms != 3_600_000).collect();
    assert_eq!((series.points.len() as u64 + series.empty, gaps), (26_307, vec![]), "{} empty", series.empty);
}

#[test]
fn public_gavel_is_read_whole() {
    for path in ["gavel/simulation_throughputs.json.gz", "gavel/physical_cluster_throughputs.json.gz"] {
        let Some(text) = trace(path) else { return };
        let rates = gavel::read_gavel(&text).expect("well formed");
        let jobs: Vec<_> = rates.iter().map(|(device, jobs)| (device.as_str(), jobs.len())).collect();
        let expected = [
            ("k80", 83),
            ("k80_unconsolidated", 77),
            ("p100", 83),
            ("p100_unconsolidated", 83),
            ("v100", 83),
            ("v100_unconsolidated", 83),
        ];
        assert_eq!(jobs, expected, "{path}");
    }
}
