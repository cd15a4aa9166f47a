//! What an engine promises to tasks that data is brought to: they find it, and what they leave is found.

use std::fs;

use huisuan_drivers::staging::data_folder;
use huisuan_model::spec::DataReference;

use crate::bench::{Bench, id, order, script};

pub(crate) fn data_is_where_the_variable_says(bench: &mut Bench) {
    let root = bench.engine.staging_folder().expect("its tasks see files of this machine");
    let mut spec = script("tr a-z A-Z < $HUISUAN_DATA_DIR/sub/in > $HUISUAN_DATA_DIR/out && echo $HUISUAN_DATA_DIR");
    let reference = |path: &str| {
        vec![DataReference { url: "https://h/x".into(), path: path.into(), bytes: None, sha256: None, at: None }]
    };
    (spec.inputs, spec.outputs) = (reference("sub/in"), reference("out"));
    let data = data_folder(&root, id(1, 0));
    fs::create_dir_all(data.join("sub")).expect("made, as the agent does");
    fs::write(data.join("sub/in"), "what is brought").expect("written");
    let end = bench.run(order(1, spec));
    assert!(end.outcome.success(), "{end:?}");
    assert_eq!(fs::read_to_string(data.join("out")).expect("it was left"), "WHAT IS BROUGHT");
    assert!(bench.stdout(id(1, 0)).starts_with('/'), "an absolute path, wherever the task is");
    let plain = bench.run(order(2, script("echo ${HUISUAN_DATA_DIR-none}")));
    assert!(plain.outcome.success(), "{plain:?}");
    assert_eq!(bench.stdout(id(2, 0)), "none\n", "only where data is named");
}
