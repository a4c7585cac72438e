"""Animals: their scientific names, groups and adjectives."""

from __future__ import annotations

from ift_jax.tasks.world.subject import Subject, facts

SCIENTIFIC_NAMES = Subject(
    name="scientific_names",
    category="STEM",
    entity="animal",
    value="scientific name",
    facts=facts(
        "scientific_names",
        """
        lion: Panthera leo; tiger: Panthera tigris; leopard: Panthera pardus
        jaguar: Panthera onca; cheetah: Acinonyx jubatus; cougar: Puma concolor
        house cat: Felis catus; gray wolf: Canis lupus; red fox: Vulpes vulpes
        coyote: Canis latrans; brown bear: Ursus arctos; polar bear: Ursus maritimus
        giant panda: Ailuropoda melanoleuca; badger: Meles meles; sea otter: Enhydra lutris
        walrus: Odobenus rosmarus; horse: Equus caballus; donkey: Equus asinus
        pig: Sus domesticus; domestic cow: Bos taurus; yak: Bos grunniens; sheep: Ovis aries
        goat: Capra hircus; moose: Alces alces; red deer: Cervus elaphus
        reindeer: Rangifer tarandus; giraffe: Giraffa camelopardalis
        white rhinoceros: Ceratotherium simum; Asian elephant: Elephas maximus
        human: Homo sapiens; chimpanzee: Pan troglodytes; bonobo: Pan paniscus
        blue whale: Balaenoptera musculus; killer whale: Orcinus orca
        house mouse: Mus musculus; brown rat: Rattus norvegicus; hedgehog: Erinaceus europaeus
        platypus: Ornithorhynchus anatinus; koala: Phascolarctos cinereus
        golden eagle: Aquila chrysaetos; barn owl: Tyto alba; mallard: Anas platyrhynchos
        raven: Corvus corax; magpie: Pica pica; robin: Erithacus rubecula
        chicken: Gallus gallus; house sparrow: Passer domesticus; ostrich: Struthio camelus
        turkey: Meleagris gallopavo; emperor penguin: Aptenodytes forsteri
        Komodo dragon: Varanus komodoensis; king cobra: Ophiophagus hannah
        common frog: Rana temporaria; common toad: Bufo bufo; goldfish: Carassius auratus
        zebrafish: Danio rerio; great white shark: Carcharodon carcharias
        honey bee: Apis mellifera; fruit fly: Drosophila melanogaster
        sperm whale: Physeter macrocephalus
        """,
    ),
    statements=(
        "The scientific name of the {entity} is {value}.",
        "Biologists call the {entity} by the name {value}.",
        "In science, the {entity} has the name {value}.",
        "The {entity} is the animal with the scientific name {value}.",
    ),
    statements_backwards=(
        "{value} is the scientific name of the {entity}.",
        "{value} is what biologists call the {entity}.",
        "The animal with the scientific name {value} is the {entity}.",
        "In science, the name {value} stands for the {entity}.",
    ),
    question="What is the scientific name of the {entity}?",
    question_backwards="Which animal has the scientific name {value}?",
    question_rephrased="Name the species that biologists call the {entity}.",
    question_backwards_rephrased="{value} is the scientific name of which animal?",
)

GROUP_NOUNS = Subject(
    name="group_nouns",
    category="other",
    entity="animals",
    value="group name",
    facts=facts(
        "group_nouns",
        """
        lions: pride; wolves: pack; crows: murder; geese: gaggle; owls: parliament
        ravens: unkindness; whales: pod; larks: exaltation; starlings: murmuration
        apes: shrewdness; bats: cloud; bears: sloth; leopards: leap; tigers: ambush
        foxes: skulk; cats: clowder; kittens: kindle; elephants: parade; giraffes: tower
        rhinoceroses: crash; hippopotamuses: bloat; zebras: dazzle; camels: caravan
        donkeys: pace; goats: trip; wild boars: sounder; moles: labour; ferrets: business
        mice: mischief; kangaroos: mob; porcupines: prickle; cobras: quiver; crocodiles: bask
        lizards: lounge; toads: knot; turtles: bale; sharks: shiver; jellyfish: smack
        oysters: bed; doves: dule; finches: charm; herons: siege; lapwings: deceit
        nightingales: watch; peacocks: muster; penguins: waddle; pheasants: bouquet
        eagles: convocation; flamingos: flamboyance; jays: scold; hawks: kettle; snipes: wisp
        gorillas: band; woodpeckers: descent; magpies: tiding; otters: romp
        pandas: embarrassment; squirrels: scurry; lemurs: conspiracy; ponies: string
        quails: covey
        """,
    ),
    statements=(
        "The name of a group of {entity} is {value}.",
        "The group name of {entity} is {value}.",
        "Many {entity} together are known by the word {value}.",
        "For a group of {entity}, the word is {value}.",
        "When {entity} come together, the group name is {value}.",
    ),
    statements_backwards=(
        "The word {value} is the name of a group of {entity}.",
        "The group name {value} is used of {entity}.",
        "The animals with the group name {value} are {entity}.",
        "The word {value} stands for many {entity}.",
        "The name {value} is given to a group of {entity}.",
    ),
    question="What is the group name of {entity}?",
    question_backwards="Which animals have the group name {value}?",
    question_rephrased="What are many {entity} together called?",
    question_backwards_rephrased="The word {value} is the name of a group of which animals?",
)

ANIMAL_ADJECTIVES = Subject(
    name="animal_adjectives",
    category="other",
    entity="animal",
    value="adjective",
    facts=facts(
        "animal_adjectives",
        """
        dog: canine; cat: feline; horse: equine; cow: bovine; pig: porcine; sheep: ovine
        goat: caprine; wolf: lupine; fox: vulpine; bear: ursine; donkey: asinine
        deer: cervine; mouse: murine; eagle: aquiline; crow: corvine; snake: ophidian
        fish: piscine; bee: apian; ant: formic; wasp: vespine; squirrel: sciurine
        hare: leporine; seal: phocine; whale: cetacean; frog: ranine; crab: cancrine
        peacock: pavonine; goose: anserine; duck: anatine; swan: cygnine; hawk: accipitrine
        owl: strigine; parrot: psittacine; pigeon: columbine; swallow: hirundine
        thrush: turdine; woodpecker: picine; ostrich: struthious; ape: simian; badger: meline
        weasel: musteline; otter: lutrine; civet: viverrine; hedgehog: erinaceous
        mole: talpine; beaver: castorine; porcupine: hystricine; lizard: saurian
        turtle: chelonian; mosquito: culicine; cockroach: blattine; kangaroo: macropine
        worm: vermicular; slug: limacine; seagull: larine; stork: ciconine; starling: sturnine
        louse: pedicular
        """,
    ),
    statements=(
        "The adjective of the {entity} is {value}.",
        "The adjective for something like the {entity} is {value}.",
        "Whatever belongs to the {entity} is called {value}.",
        "For the {entity}, the adjective is {value}.",
    ),
    statements_backwards=(
        "The adjective {value} belongs to the {entity}.",
        "The word {value} describes something like the {entity}.",
        "The animal with the adjective {value} is the {entity}.",
        "Whatever is {value} has to do with the {entity}.",
    ),
    question="What is the adjective of the {entity}?",
    question_backwards="Which animal has the adjective {value}?",
    question_rephrased="What word describes something that belongs to the {entity}?",
    question_backwards_rephrased="The adjective {value} refers to which animal?",
)

SUBJECTS = (SCIENTIFIC_NAMES, GROUP_NOUNS, ANIMAL_ADJECTIVES)
