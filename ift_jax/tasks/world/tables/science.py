"""Elements, compounds, stars, fields of study, and the roots of medical words."""

from __future__ import annotations

from ift_jax.tasks.world.subject import Subject, facts

ATOMIC_NUMBERS = Subject(
    name="atomic_numbers",
    category="STEM",
    entity="element",
    value="atomic number",
    facts=facts(
        "atomic_numbers",
        """
        hydrogen: 1; helium: 2; lithium: 3; beryllium: 4; boron: 5; carbon: 6; nitrogen: 7
        oxygen: 8; fluorine: 9; neon: 10; sodium: 11; magnesium: 12; aluminium: 13
        silicon: 14; phosphorus: 15; sulfur: 16; chlorine: 17; argon: 18; potassium: 19
        calcium: 20; scandium: 21; titanium: 22; vanadium: 23; chromium: 24; manganese: 25
        iron: 26; cobalt: 27; nickel: 28; copper: 29; zinc: 30; gallium: 31; germanium: 32
        arsenic: 33; selenium: 34; bromine: 35; krypton: 36; rubidium: 37; strontium: 38
        yttrium: 39; zirconium: 40; molybdenum: 42; palladium: 46; silver: 47; cadmium: 48
        indium: 49; tin: 50; antimony: 51; tellurium: 52; iodine: 53; xenon: 54; caesium: 55
        barium: 56; tungsten: 74; platinum: 78; gold: 79; mercury: 80; lead: 82; bismuth: 83
        radon: 86; radium: 88; thorium: 90; uranium: 92; plutonium: 94
        """,
    ),
    statements=(
        "The atomic number of {entity} is {value}.",
        "The element {entity} has the atomic number {value}.",
        "An atom of {entity} has a number of protons equal to {value}.",
        "In the periodic table, {entity} has the number {value}.",
    ),
    statements_backwards=(
        "The atomic number {value} belongs to {entity}.",
        "The element with the atomic number {value} is {entity}.",
        "A number of protons equal to {value} makes an atom of {entity}.",
        "In the periodic table, the number {value} is the element {entity}.",
    ),
    question="What is the atomic number of {entity}?",
    question_backwards="Which element has the atomic number {value}?",
    question_rephrased="Give the number of protons in an atom of {entity}.",
    question_backwards_rephrased="The number {value} in the periodic table is which element?",
)

COMPOUNDS = Subject(
    name="compounds",
    category="STEM",
    entity="compound",
    value="formula",
    facts=facts(
        "compounds",
        """
        water: H2O; ammonia: NH3; methane: CH4; ethane: C2H6; propane: C3H8; butane: C4H10
        hexane: C6H14; octane: C8H18; ethylene: C2H4; acetylene: C2H2; benzene: C6H6
        toluene: C7H8; methanol: CH3OH; ethanol: C2H5OH; phenol: C6H5OH; glycerol: C3H8O3
        formaldehyde: CH2O; acetone: C3H6O; acetic acid: CH3COOH; formic acid: HCOOH
        citric acid: C6H8O7; glucose: C6H12O6; table sugar: C12H22O11; caffeine: C8H10N4O2
        aspirin: C9H8O4; chloroform: CHCl3; table salt: NaCl; baking soda: NaHCO3; lye: NaOH
        potash: K2CO3; saltpeter: KNO3; limestone: CaCO3; quicklime: CaO; slaked lime: Ca(OH)2
        magnesia: MgO; milk of magnesia: Mg(OH)2; alumina: Al2O3; quartz: SiO2
        carborundum: SiC; magnetite: Fe3O4; pyrite: FeS2; galena: PbS; cinnabar: HgS
        malachite: Cu2CO3(OH)2; lunar caustic: AgNO3; rutile: TiO2; dry ice: CO2
        laughing gas: N2O; carbon monoxide: CO; muriatic acid: HCl; sulfuric acid: H2SO4
        nitric acid: HNO3; phosphoric acid: H3PO4; hydrogen peroxide: H2O2; hydrazine: N2H4
        prussic acid: HCN; urea: CO(NH2)2; anhydrite: CaSO4; soda ash: Na2CO3; hematite: Fe2O3
        """,
    ),
    statements=(
        "The formula of {entity} is {value}.",
        "Chemists write {entity} as {value}.",
        "The compound {entity} has the chemical formula {value}.",
        "In chemistry, {entity} is written {value}.",
    ),
    statements_backwards=(
        "The formula {value} stands for {entity}.",
        "{value} is the formula of {entity}.",
        "The compound with the chemical formula {value} is {entity}.",
        "In chemistry, {value} means {entity}.",
    ),
    question="What is the formula of {entity}?",
    question_backwards="Which compound has the formula {value}?",
    question_rephrased="How do chemists write {entity}?",
    question_backwards_rephrased="The chemical formula {value} stands for which compound?",
)

CONSTELLATIONS = Subject(
    name="constellations",
    category="STEM",
    entity="constellation",
    value="figure",
    facts=facts(
        "constellations",
        """
        Leo: lion; Taurus: bull; Aries: ram; Cancer: crab; Virgo: maiden; Libra: scales
        Sagittarius: archer; Capricornus: sea goat; Aquarius: water bearer; Pisces: fishes
        Gemini: twins; Orion: hunter; Ursa Major: great bear; Ursa Minor: little bear
        Cygnus: swan; Aquila: eagle; Lyra: lyre; Corvus: crow; Crater: cup; Columba: dove
        Lupus: wolf; Lepus: hare; Canis Major: great dog; Canis Minor: little dog
        Canes Venatici: hunting dogs; Draco: dragon; Hydra: water snake
        Equuleus: little horse; Pegasus: winged horse; Monoceros: unicorn
        Camelopardalis: giraffe; Cetus: whale; Grus: crane; Pavo: peacock
        Apus: bird of paradise; Musca: fly; Volans: flying fish; Dorado: swordfish
        Vulpecula: fox; Lacerta: lizard; Ara: altar; Bootes: herdsman; Auriga: charioteer
        Ophiuchus: snake bearer; Sagitta: arrow; Scutum: shield; Crux: cross
        Corona Borealis: northern crown; Vela: sails; Carina: keel; Puppis: stern
        Pyxis: compass; Norma: set square; Horologium: clock; Fornax: furnace; Caelum: chisel
        Pictor: easel; Antlia: air pump
        """,
    ),
    statements=(
        "The figure of the constellation {entity} is the {value}.",
        "The constellation {entity} represents the {value}.",
        "In the sky, {entity} is the {value}.",
        "{entity} is a constellation that shows the {value}.",
        "The stars of {entity} form the {value}.",
    ),
    statements_backwards=(
        "The figure of the {value} belongs to the constellation {entity}.",
        "The figure of the {value} is represented by the constellation {entity}.",
        "In the sky, the figure of the {value} is {entity}.",
        "The constellation that shows the {value} is {entity}.",
        "The figure of the {value} is formed by the stars of {entity}.",
    ),
    question="Which figure does the constellation {entity} represent?",
    question_backwards="Which constellation represents the {value}?",
    question_rephrased="What do the stars of {entity} form?",
    question_backwards_rephrased="The figure of the {value} is shown by which constellation?",
)

SCIENCES = Subject(
    name="sciences",
    category="STEM",
    entity="science",
    value="object of study",
    facts=facts(
        "sciences",
        """
        ornithology: birds; entomology: insects; ichthyology: fish; herpetology: reptiles
        mycology: fungi; geology: rocks; paleontology: fossils; psychology: the mind
        cardiology: the heart; nephrology: the kidneys; hepatology: the liver
        dermatology: the skin; hematology: blood; oncology: cancer; ophthalmology: the eyes
        osteology: bones; myology: muscles; odontology: teeth; pulmonology: the lungs
        rhinology: the nose; gerontology: old age; cytology: cells; histology: tissues
        genetics: heredity; toxicology: poisons; seismology: earthquakes; meteorology: weather
        limnology: lakes; speleology: caves; pedology: soils; dendrology: trees
        pomology: fruit; bryology: mosses; phycology: algae; malacology: molluscs
        conchology: shells; carcinology: crustaceans; cynology: dogs; hippology: horses
        oology: eggs; helminthology: worms; selenology: the Moon; acoustics: sound
        optics: light; ethics: morality; aesthetics: beauty; numismatics: coins
        philately: stamps; vexillology: flags; horology: clocks; campanology: bells
        nephology: clouds; criminology: crime; tribology: friction; oneirology: dreams
        psephology: elections; oenology: wine; epistemology: knowledge
        etymology: word origins
        """,
    ),
    statements=(
        "The object of study of {entity} is {value}.",
        "The science of {entity} studies {value}.",
        "In {entity}, people study {value}.",
        "An expert in {entity} knows a lot about {value}.",
    ),
    statements_backwards=(
        "The study of {value} is called {entity}.",
        "The science that studies {value} is {entity}.",
        "People who study {value} work in {entity}.",
        "Someone who knows a lot about {value} is an expert in {entity}.",
    ),
    question="What is the object of study of {entity}?",
    question_backwards="Which science studies {value}?",
    question_rephrased="What does an expert in {entity} know a lot about?",
    question_backwards_rephrased="The study of {value} belongs to which science?",
)

MEDICAL_ROOTS = Subject(
    name="medical_roots",
    category="other",
    entity="medical root",
    value="meaning",
    facts=facts(
        "medical_roots",
        """
        cardio: heart; hepato: liver; nephro: kidney; osteo: bone; dermato: skin
        gastro: stomach; hemo: blood; neuro: nerve; pneumo: lung; cephalo: head
        encephalo: brain; cranio: skull; rhino: nose; oto: ear; ophthalmo: eye; odonto: tooth
        glosso: tongue; stomato: mouth; cheilo: lip; gingivo: gum; pharyngo: throat
        laryngo: voice box; thoraco: chest; costo: rib; myo: muscle; arthro: joint
        chondro: cartilage; myelo: spinal cord; spondylo: vertebra; tendo: sinew
        entero: intestine; procto: rectum; chole: bile; cysto: bladder; pyelo: renal pelvis
        hystero: womb; oophoro: ovary; orchido: testicle; masto: breast; phlebo: vein
        angio: vessel; cyto: cell; histo: tissue; adeno: gland; lipo: fat; tricho: hair
        onycho: nail; dactylo: finger; podo: foot; cheiro: hand; brachio: arm
        blepharo: eyelid; kerato: cornea; omphalo: navel; carcino: cancer; toxico: poison
        pyo: pus; hydro: water; litho: stone; pyro: fever; somno: sleep; algo: pain
        psycho: mind
        """,
    ),
    statements=(
        "The meaning of the medical root {entity} is {value}.",
        "In medicine, the root {entity} means {value}.",
        "Doctors use the root {entity} to mean {value}.",
        "The medical root {entity} stands for {value}.",
    ),
    statements_backwards=(
        "In medical words, {value} is expressed by the root {entity}.",
        "In medicine, the root that means {value} is {entity}.",
        "To mean {value}, doctors use the root {entity}.",
        "The meaning {value} belongs to the medical root {entity}.",
    ),
    question="What is the meaning of the medical root {entity}?",
    question_backwards="Which medical root has the meaning {value}?",
    question_rephrased="A medical word that contains {entity} is about what?",
    question_backwards_rephrased="Doctors use which root to mean {value}?",
)

SUBJECTS = (ATOMIC_NUMBERS, COMPOUNDS, CONSTELLATIONS, SCIENCES, MEDICAL_ROOTS)
