use super::*;

fn data(groups: u32, rows_per_class: usize) -> Dataset {
    let mut data = Dataset {
        window: 1,
        labels: vec!["a".to_owned(), "b".to_owned()],
        ..Dataset::default()
    };
    for group in 0..groups {
        for label in 0..2 {
            for n in 0..rows_per_class {
                data.rows.push(Row::new(vec![n as f32], label, group));
            }
        }
    }
    data
}

#[test]
fn no_group_is_cut() {
    let split = data(20, 3).split_by_group(0.15, 0.25, 7).unwrap();
    let parts = [
        split.train.groups(),
        split.validation.groups(),
        split.test.groups(),
    ];
    assert_eq!(parts.each_ref().map(Vec::len), [12, 3, 5]);
    let mut all: Vec<u32> = parts.concat();
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    assert_eq!(split.test.rows.len(), 5 * 6);
}

#[test]
fn seeds_decide_the_split() {
    let split = |seed| data(20, 1).split_by_group(0.15, 0.25, seed).unwrap();
    assert_eq!(split(1), split(1));
    assert_ne!(split(1).test.groups(), split(2).test.groups());
}

#[test]
fn too_few_groups_are_refused() {
    assert_eq!(
        data(2, 5).split_by_group(0.2, 0.2, 0),
        Err(SplitError::TooFewGroups { found: 2 })
    );
    assert_eq!(
        data(10, 1).split_by_group(0.5, 0.5, 0),
        Err(SplitError::NothingLeft)
    );
}

#[test]
fn rows_are_split_in_equal_shares_of_each_class() {
    let split = data(1, 50).split_by_row(0.1, 0.2, 3).unwrap();
    assert_eq!(split.train.class_counts(), [35, 35]);
    assert_eq!(split.validation.class_counts(), [5, 5]);
    assert_eq!(split.test.class_counts(), [10, 10]);
}

#[test]
fn labelled_rows_get_their_share() {
    let split = data(5, 4).split_by_group(0.2, 0.2, 0).unwrap();
    let labelled = data(1, 3);
    let both = split.with_labelled(&labelled, 0.6);
    let (old, new) = both.train.rows.split_at(split.train.rows.len());
    let sum = |rows: &[Row]| rows.iter().map(|row| row.weight).sum::<f32>();
    assert_eq!(new.len(), 6);
    assert!((sum(new) / (sum(new) + sum(old)) - 0.6).abs() < 1e-5);
    assert_eq!(both.test, split.test);
    assert_eq!(split.with_labelled(&split.train.empty_like(), 0.6), split);
}

#[test]
fn rejected_rows_are_told_with_their_place() {
    let row = |line, reason| RejectedRow {
        file: "f".to_owned(),
        line,
        reason,
    };
    let rejected = Rejected {
        rows: vec![
            row(4, Reason::Ragged),
            row(9, Reason::Nan),
            row(11, Reason::Ragged),
        ],
    };
    assert_eq!(
        rejected.to_string(),
        "1 rows left out: a value is not a number (first: f line 9)\n\
         2 rows left out: wrong number of values (first: f line 4)"
    );
}
