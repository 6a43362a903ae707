"""A small phrase grammar of English for synthetic speech: sentences with plausible word frequencies, lengths and syntax."""

from __future__ import annotations

import re

import numpy as np

LISTS = {
    "name": (
        "Anna Peter Maria John Sam Lucy Tom Rosa Henry Clara David Nina Oscar Ruth Walter Emma Jack Mister_Brown Doctor_Hill Monica "
        "Ross Chandler Charlie"
    ),
    "person": (
        "man woman boy girl teacher doctor farmer sailor neighbour friend brother sister mother father king queen soldier thief child "
        "baker captain driver painter stranger old_lady scientist lawyer student guest waiter detective grandmother"
    ),
    "thing": (
        "house door window table letter book car boat train bicycle lamp ladder basket bottle coat hat key box stone apple bread cup "
        "clock mirror picture piano telephone suitcase umbrella engine camera ticket newspaper candle blanket hammer rope wheel bridge "
        "wall sandwich birthday_cake"
    ),
    "animal": "dog cat horse bird cow sheep fox wolf bear mouse fish goat duck owl rabbit elephant tiger monkey spider butterfly",
    "place": (
        "kitchen garden street river forest mountain village city harbour market station school church hospital office hotel theatre "
        "field island beach desert castle cellar attic library museum airport restaurant bathroom apartment coffee_house"
    ),
    "adjective": (
        "old young small big red blue green white black long short heavy empty quiet loud bright dark cold warm wet dry broken "
        "beautiful strange happy sad angry tired hungry clever poor rich wooden golden narrow enormous ordinary mysterious delicious "
        "expensive terrible wonderful"
    ),
    "seen": (
        "saw found lost carried opened closed broke took brought wanted bought sold hid held dropped watched followed forgot painted "
        "remembered cleaned pushed pulled needed loved hated noticed repaired described"
    ),
    "went": "walked ran went came drove sailed jumped climbed travelled hurried moved crept wandered returned danced swam flew rode",
    "state": ("slept waited laughed cried smiled sang shouted whispered worked listened disappeared arrived stopped fell trembled coughed sighed"),
    "adverb": (
        "slowly quickly quietly suddenly again together happily carefully alone early late yesterday tonight almost_never always "
        "finally softly immediately unfortunately probably"
    ),
    "when": (
        "in_the_morning at_night after_dinner before_the_storm last_winter every_summer on_Sunday at_midnight during_the_war "
        "many_years_ago the_next_day at_six_o'clock for_three_weeks"
    ),
    "where": "across into out_of through around towards behind past over under along beside",
    "in": "in at near behind under on beside inside",
    "mind": "thinks knows believes hopes says remembers fears imagines suspects",
    "reply": (
        "yes no oh_my_god all_right of_course thank_you come_on wait_a_minute I_don't_know you're_right okay really hey well "
        "good_morning I'm_sorry let's_go that's_great what_happened listen look_at_me what_do_you_mean nobody_knows see_you_tomorrow"
    ),
    "number": "two three four five six seven eight ten twelve twenty thirty a_hundred a_thousand",
    "idea": (
        "time money love music the_truth the_weather history science luck trouble freedom memory attention the_future the_brain energy "
        "information electricity evolution language government education"
    ),
    "part": "light sound water fire wind sleep colour pressure heat gravity oxygen blood",
}
WORDS = {key: [entry.replace("_", " ") for entry in value.split()] for key, value in LISTS.items()}
"""Word lists by part of speech; ``_`` in the source joins what is drawn together."""

TEMPLATES = (
    "the {person} {seen} the {thing} .",
    "the {adjective} {person} {seen} a {adjective} {thing} {in} the {place} .",
    "{when} , {name} {went} {where} the {place} .",
    "{name} and {name} {went} {where} the {adjective} {place} and {seen} the {animal} .",
    "I {seen} your {thing} {in} the {place} .",
    "we {went} {where} the {place} {when} .",
    "did you see the {animal} that {went} {where} the {place} ?",
    "where is my {adjective} {thing} ?",
    "what did the {person} say about the {thing} ?",
    "{reply} , {name} !",
    "{reply} , I can't find the {thing} .",
    "{reply} . {reply} .",
    "there were {number} {animal}s {in} the {place} .",
    "she {seen} {number} {thing}s {when} , but the {person} {state} .",
    "he {state} {adverb} while the {animal} {went} {where} the {thing} .",
    "{name} {mind} that {idea} is like a {adjective} {thing} .",
    "nobody {mind} what the {person} {seen} {when} .",
    "if you go to the {place} , don't forget the {thing} .",
    "I would never give a {thing} to a {person} , would you ?",
    "they {went} home {when} .",
    "because the {part} was so {adjective} , the {person} {state} {adverb} .",
    "{idea} and {part} are more important than a {thing} .",
    "in this experiment , the {part} was measured with a {adjective} {thing} .",
    "scientists discovered that {part} changes {idea} {adverb} .",
    "please put the {thing} on the {thing} next to the {animal} .",
    "once there was a {person} who had a {adjective} {animal} and a {adjective} {thing} .",
    "my {person} always told me that {idea} comes {adverb} .",
    "the {animal} {went} {adverb} {where} the {place} .",
    "you know , the {adjective} one , with the {thing} !",
    "how could {name} and the {person} {adverb} lose {number} {thing}s ?",
)
PLURALS = {"butterfly": "butterflies", "wolf": "wolves", "fox": "foxes", "mouse": "mice", "box": "boxes", "fish": "fish"}
PLURALS |= {"sheep": "sheep", "sandwich": "sandwiches"}
SLOT = re.compile(r"\{(\w+)\}")


def random_sentence(rng: np.random.Generator) -> str:
    """One sentence, words separated by single spaces and punctuation attached, for example ``"Where is my old boat?"``."""
    template = TEMPLATES[int(rng.integers(len(TEMPLATES)))]

    def fill(match: re.Match) -> str:
        options = WORDS[match[1]]
        # earlier entries are drawn more often, so that word frequencies fall off as in a language
        return options[int(len(options) * rng.random() ** 1.5)]

    sentence = re.sub(r" ([.,?!])", r"\1", SLOT.sub(fill, template))
    for singular, plural in PLURALS.items():
        sentence = sentence.replace(singular + "s", plural)
    sentence = re.sub(r"\ba ([aeiou])", r"an \1", sentence)
    return re.sub(r"(^|[.?!] )([a-z])", lambda match: match[1] + match[2].upper(), sentence)


def random_passage(rng: np.random.Generator, sentences: int) -> str:
    """Several sentences in a row."""
    return " ".join(random_sentence(rng) for _ in range(sentences))
