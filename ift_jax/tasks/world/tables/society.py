"""Companies, inventions, trades and fears."""

from __future__ import annotations

from ift_jax.tasks.world.subject import Subject, facts

COMPANIES = Subject(
    name="companies",
    category="social sciences",
    entity="company",
    value="founder",
    facts=facts(
        "companies",
        """
        Microsoft: Bill Gates; Apple: Steve Jobs; Amazon: Jeff Bezos
        Facebook: Mark Zuckerberg; Google: Larry Page; SpaceX: Elon Musk
        Oracle: Larry Ellison; Nike: Phil Knight; Ikea: Ingvar Kamprad
        Virgin: Richard Branson; Alibaba: Jack Ma; Twitter: Jack Dorsey
        Netflix: Reed Hastings; Uber: Travis Kalanick; Airbnb: Brian Chesky; FedEx: Fred Smith
        Walmart: Sam Walton; Sony: Akio Morita; Nvidia: Jensen Huang; Intel: Robert Noyce
        Puma: Rudolf Dassler; Lego: Ole Kirk Christiansen; Samsung: Lee Byung-chul
        Hyundai: Chung Ju-yung; Huawei: Ren Zhengfei; Xiaomi: Lei Jun; Tencent: Ma Huateng
        Baidu: Robin Li; Spotify: Daniel Ek; Telegram: Pavel Durov; Zara: Amancio Ortega
        KFC: Colonel Sanders; Kodak: George Eastman; General Motors: William Durant
        Standard Oil: John Rockefeller; Rolex: Hans Wilsdorf; Nintendo: Fusajiro Yamauchi
        Red Bull: Dietrich Mateschitz; CNN: Ted Turner; LinkedIn: Reid Hoffman
        Salesforce: Marc Benioff; Zoom: Eric Yuan; ByteDance: Zhang Yiming
        SoftBank: Masayoshi Son; Vanguard: John Bogle; BlackRock: Larry Fink
        Bridgewater: Ray Dalio; Subway: Fred DeLuca; Instagram: Kevin Systrom
        WhatsApp: Jan Koum; Snapchat: Evan Spiegel; Pinterest: Ben Silbermann
        Tumblr: David Karp; Reddit: Steve Huffman; Dropbox: Drew Houston
        Stripe: Patrick Collison; WeWork: Adam Neumann; Theranos: Elizabeth Holmes
        Spanx: Sara Blakely; The Body Shop: Anita Roddick; GoPro: Nick Woodman
        Patagonia: Yvon Chouinard; Foxconn: Terry Gou; Infosys: Narayana Murthy
        """,
    ),
    statements=(
        "The founder of {entity} is {value}.",
        "The company {entity} was founded by {value}.",
        "{entity} is a company founded by {value}.",
        "The business called {entity} was started by {value}.",
    ),
    statements_backwards=(
        "{value} is the founder of {entity}.",
        "{value} founded the company {entity}.",
        "A company founded by {value} is called {entity}.",
        "A business that {value} started is {entity}.",
    ),
    question="Who is the founder of {entity}?",
    question_backwards="Which company was founded by {value}?",
    question_rephrased="Name the person who started the business called {entity}.",
    question_backwards_rephrased="{value} is the founder of which company?",
)

INVENTIONS = Subject(
    name="inventions",
    category="other",
    entity="invention",
    value="inventor",
    facts=facts(
        "inventions",
        """
        telephone: Alexander Graham Bell; light bulb: Thomas Edison
        printing press: Johannes Gutenberg; cotton gin: Eli Whitney; steamboat: Robert Fulton
        telegraph: Samuel Morse; revolver: Samuel Colt; lightning rod: Benjamin Franklin
        hot air balloon: Joseph Montgolfier; airplane: Orville Wright
        helicopter: Igor Sikorsky; jet engine: Frank Whittle; television: John Logie Baird
        instant camera: Edwin Land; World Wide Web: Tim Berners-Lee
        difference engine: Charles Babbage; slide rule: William Oughtred
        pendulum clock: Christiaan Huygens; barometer: Evangelista Torricelli
        mercury thermometer: Daniel Fahrenheit; battery: Alessandro Volta
        dynamo: Michael Faraday; induction motor: Nikola Tesla; motor car: Karl Benz
        motorcycle: Gottlieb Daimler; air brake: George Westinghouse
        sleeping car: George Pullman; safety elevator: Elisha Otis; sewing machine: Elias Howe
        safety pin: Walter Hunt; safety razor: King Gillette; zipper: Whitcomb Judson
        ballpoint pen: Laszlo Biro; fountain pen: Lewis Waterman
        typewriter: Christopher Sholes; mechanical reaper: Cyrus McCormick
        steel plow: John Deere; lawn mower: Edwin Budding; machine gun: Hiram Maxim
        spinning jenny: James Hargreaves; water frame: Richard Arkwright
        power loom: Edmund Cartwright; flying shuttle: John Kay
        steam locomotive: Richard Trevithick; stethoscope: Rene Laennec
        polio vaccine: Jonas Salk; iron lung: Philip Drinker; cyclotron: Ernest Lawrence
        bubble chamber: Donald Glaser; synthesizer: Robert Moog; pressure cooker: Denis Papin
        vacuum flask: James Dewar; windshield wiper: Mary Anderson; parking meter: Carl Magee
        hovercraft: Christopher Cockerell; seismograph: John Milne; safety lamp: Humphry Davy
        computer mouse: Douglas Engelbart; cinematograph: Louis Lumiere
        """,
    ),
    statements=(
        "The inventor of the {entity} is {value}.",
        "The {entity} was invented by {value}.",
        "The world got the {entity} from {value}.",
        "The {entity} is an invention of {value}.",
    ),
    statements_backwards=(
        "{value} is the inventor of the {entity}.",
        "{value} invented the {entity}.",
        "An invention of {value} is the {entity}.",
        "Thanks to {value}, the world has the {entity}.",
    ),
    question="Who is the inventor of the {entity}?",
    question_backwards="Which invention was made by {value}?",
    question_rephrased="Name the person from whom the world got the {entity}.",
    question_backwards_rephrased="{value} is the inventor of what?",
)

TRADES = Subject(
    name="trades",
    category="other",
    entity="trade",
    value="object",
    facts=facts(
        "trades",
        """
        cobbler: shoes; milliner: hats; cooper: barrels; fletcher: arrows; chandler: candles
        farrier: horseshoes; cutler: knives; glazier: windows; baker: bread; brewer: beer
        vintner: wine; confectioner: sweets; mason: stone; thatcher: straw roofs
        plumber: water pipes; tailor: suits; apiarist: bees; falconer: hawks; swineherd: pigs
        dairyman: milk; butcher: meat; greengrocer: vegetables; barber: hair; dentist: teeth
        optician: glasses; podiatrist: feet; manicurist: nails; librarian: books
        cartographer: maps; lexicographer: dictionaries; playwright: plays; actuary: insurance
        astronomer: stars; horologist: clocks; luthier: violins; jeweller: rings
        haberdasher: buttons; upholsterer: sofas; locksmith: keys; gunsmith: rifles
        chimney sweep: soot; lumberjack: logs; collier: coal; weaver: looms; tanner: hides
        miller: grain; accountant: ledgers; stevedore: cargo; perfumer: scents
        sculptor: statues; choreographer: dances; pharmacist: medicines; postman: letters
        banker: loans; undertaker: funerals; translator: languages; judge: trials
        barista: coffee; seamstress: dresses; electrician: wiring; tobacconist: cigars
        pilot: airplanes
        """,
    ),
    statements=(
        "The object of the trade of the {entity} is {value}.",
        "The trade of the {entity} deals with {value}.",
        "The {entity} works with {value}.",
        "All day long, the {entity} deals with {value}.",
    ),
    statements_backwards=(
        "The trade that deals with {value} is that of the {entity}.",
        "Work with {value} is the trade of the {entity}.",
        "The one who works with {value} is called the {entity}.",
        "When it comes to {value}, the expert is the {entity}.",
    ),
    question="What does the trade of the {entity} deal with?",
    question_backwards="Which trade deals with {value}?",
    question_rephrased="What does the {entity} handle all day long?",
    question_backwards_rephrased="Whose trade is work with {value}?",
)

PHOBIAS = Subject(
    name="phobias",
    category="social sciences",
    entity="phobia",
    value="object of fear",
    facts=facts(
        "phobias",
        """
        arachnophobia: spiders; claustrophobia: closed spaces; acrophobia: heights
        agoraphobia: open spaces; xenophobia: strangers; nyctophobia: darkness
        ophidiophobia: snakes; cynophobia: dogs; ailurophobia: cats; ornithophobia: birds
        entomophobia: insects; musophobia: mice; equinophobia: horses; ranidaphobia: frogs
        selachophobia: sharks; aviophobia: flying; hemophobia: blood; trypanophobia: needles
        coulrophobia: clowns; iatrophobia: doctors; nosophobia: disease; thanatophobia: death
        gerascophobia: old age; pyrophobia: fire; astraphobia: lightning; ombrophobia: rain
        chionophobia: snow; cryophobia: cold; heliophobia: sunlight; phonophobia: loud sounds
        anthophobia: flowers; dendrophobia: trees; thalassophobia: the sea
        gephyrophobia: bridges; triskaidekaphobia: thirteen; arithmophobia: numbers
        glossophobia: public speaking; bibliophobia: books; logophobia: words
        gynophobia: women; androphobia: men; gamophobia: marriage; philophobia: love
        autophobia: being alone; ecclesiophobia: churches; phasmophobia: ghosts
        pediophobia: dolls; chronophobia: time; ergophobia: work; mysophobia: germs
        emetophobia: vomiting; algophobia: pain; amaxophobia: driving; catoptrophobia: mirrors
        genuphobia: knees; pogonophobia: beards; koumpounophobia: buttons
        globophobia: balloons; trypophobia: holes; turophobia: cheese
        lachanophobia: vegetables; somniphobia: sleep
        """,
    ),
    statements=(
        "The object of fear in {entity} is {value}.",
        "The fear called {entity} is the fear of {value}.",
        "People with {entity} are afraid of {value}.",
        "In psychology, {entity} means a fear of {value}.",
    ),
    statements_backwards=(
        "The fear of {value} is called {entity}.",
        "People who are afraid of {value} have {entity}.",
        "The phobia that makes people fear {value} is {entity}.",
        "In psychology, a fear of {value} is known as {entity}.",
    ),
    question="What is the object of fear in {entity}?",
    question_backwards="Which phobia is the fear of {value}?",
    question_rephrased="What are people with {entity} afraid of?",
    question_backwards_rephrased="People who are afraid of {value} have which phobia?",
)

SUBJECTS = (COMPANIES, INVENTIONS, TRADES, PHOBIAS)
