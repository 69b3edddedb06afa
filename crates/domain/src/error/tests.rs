use super::*;

#[test]
fn the_reasons_are_the_contracts_own_words() {
    for reason in Reason::ALL {
        let words = format!("{reason:?}");
        let spelled: String = words
            .char_indices()
            .flat_map(|(i, c)| {
                let gap = if c.is_ascii_uppercase() && i > 0 { Some('_') } else { None };
                gap.into_iter().chain(std::iter::once(c.to_ascii_uppercase()))
            })
            .collect();
        assert_eq!(reason.as_str(), spelled);
    }
}

#[test]
fn several_violations_are_counted_in_the_message() {
    let violation = |field: &str| Violation { field: field.into(), description: "is empty".into() };
    let none = Error::violations(Reason::InvalidField, vec![]);
    let one = Error::violations(Reason::InvalidField, vec![violation("a")]);
    let two = Error::violations(Reason::InvalidField, vec![violation("a"), violation("b")]);
    assert_eq!(none.to_string(), "INVALID_FIELD: the request is not valid");
    assert_eq!(one.to_string(), "INVALID_FIELD: a: is empty");
    assert_eq!(two.to_string(), "INVALID_FIELD: a: is empty (and 1 more)");
}

#[test]
fn violations_beyond_the_most_that_are_kept_are_counted() {
    let violation = |i: usize| Violation { field: format!("f{i}"), description: "is empty".into() };
    let found = 3 * limits::VIOLATIONS;
    let at_once = Error::violations(Reason::InvalidField, (0..found).map(violation).collect());
    let mut collected = Violations::default();
    for i in 0..limits::VIOLATIONS + 7 {
        assert_eq!(collected.keep::<()>(Err(Error::invalid(format!("f{i}"), "is empty"))).unwrap(), None);
    }
    collected.note(at_once);
    assert_eq!(collected.kept().len(), limits::VIOLATIONS);
    let error = collected.finish(Some(())).unwrap_err();
    assert_eq!(error.parts().violations.len(), limits::VIOLATIONS);
    assert_eq!(error.parts().more_violations, 7 + found);
    let more = limits::VIOLATIONS + 7 + found - 1;
    assert_eq!(error.to_string(), format!("INVALID_FIELD: f0: is empty (and {more} more)"));
    assert_eq!(error.and_more().to_string(), format!("INVALID_FIELD: f0: is empty (and at least {more} more)"));
}

#[test]
fn a_field_that_is_only_counted_is_not_described() {
    let (mut noted, mut described) = (Violations::default(), 0);
    for number in 0..limits::VIOLATIONS + 3 {
        noted.add(format!("f{number}"), || {
            described += 1;
            "is missing".to_owned()
        });
    }
    let error = noted.into_error(Reason::VariablesMissing).unwrap();
    assert_eq!((error.reason(), error.parts().violations.len()), (Reason::VariablesMissing, limits::VIOLATIONS));
    assert_eq!((error.parts().more_violations, described), (3, limits::VIOLATIONS));
    assert!(Violations::default().into_error(Reason::VariablesMissing).is_none());
}

#[test]
fn an_error_within_a_part_says_which() {
    let field = Error::invalid("name", "is empty").within("prompts[3]");
    assert_eq!(field.to_string(), "INVALID_FIELD: prompts[3].name: is empty");
    assert_eq!(field.parts().violations[0].field, "prompts[3].name");
    let other = Error::new(Reason::TooLarge, "template is 9 bytes").within("prompts[3]");
    assert_eq!(other.to_string(), "TOO_LARGE: prompts[3]: template is 9 bytes");
}

#[test]
fn what_a_caller_may_see_and_the_cause_stay_apart() {
    let error = Error::internal("disk on fire")
        .with("error_id", "7")
        .about("prompt", "greet")
        .retry_after(Duration::from_secs(1));
    assert!(!error.to_string().contains("disk"));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk on fire");
    assert_eq!(error.parts().metadata, [("error_id", "7".to_owned())]);
    assert_eq!(error.parts().resource, Some(Resource { kind: "prompt", name: "greet".into() }));
    assert_eq!(error.parts().retry_after, Some(Duration::from_secs(1)));
    assert!(std::error::Error::source(&Error::new(Reason::Draining, "bye")).is_none());
}

#[test]
fn violations_are_collected_and_other_errors_pass_through() {
    let mut all = Violations::default();
    assert_eq!(all.keep(Ok(1)).unwrap(), Some(1));
    assert_eq!(all.keep::<()>(Err(Error::invalid("a", "is empty"))).unwrap(), None);
    assert_eq!(all.keep::<()>(Err(Error::invalid("b", "is empty"))).unwrap(), None);
    assert_eq!(all.keep::<()>(Err(Error::new(Reason::TooLarge, "big"))).unwrap_err().reason(), Reason::TooLarge);
    assert_eq!(all.finish(Some(1)).unwrap_err().parts().violations.len(), 2);
    assert_eq!(Violations::default().finish(Some(1)).unwrap(), 1);
    assert!(Violations::default().finish::<()>(None).is_err());
}

#[test]
fn fields_are_renamed_with_what_is_below_them() {
    let violation = |field: &str| Violation { field: field.into(), description: "is wrong".into() };
    let error = Error::violations(Reason::InvalidField, ["spec.a", "wait", "waits", "x[0].y"].map(violation).into());
    let renamed = error.renamed(&[("spec", ""), ("wait", "wait_ms"), ("x", "z")]);
    let fields: Vec<_> = renamed.parts().violations.iter().map(|violation| &*violation.field).collect();
    assert_eq!(fields, ["a", "wait_ms", "waits", "z[0].y"]);
    assert_eq!(renamed.parts().message, "a: is wrong (and 3 more)");
    let other = Error::new(Reason::Internal, "as it was").renamed(&[("a", "b")]);
    assert_eq!(other.parts().message, "as it was");
}
