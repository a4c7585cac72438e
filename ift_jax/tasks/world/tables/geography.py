"""Countries, states and cities."""

from __future__ import annotations

from ift_jax.tasks.world.subject import Subject, facts

CAPITALS = Subject(
    name="capitals",
    category="social sciences",
    entity="country",
    value="capital",
    facts=facts(
        "capitals",
        """
        France: Paris; Germany: Berlin; Italy: Rome; Spain: Madrid; Portugal: Lisbon
        Poland: Warsaw; Austria: Vienna; Hungary: Budapest; Greece: Athens; Sweden: Stockholm
        Norway: Oslo; Finland: Helsinki; Denmark: Copenhagen; Iceland: Reykjavik
        Ireland: Dublin; Belgium: Brussels; Switzerland: Bern; Romania: Bucharest
        Bulgaria: Sofia; Serbia: Belgrade; Croatia: Zagreb; Ukraine: Kyiv; Latvia: Riga
        Lithuania: Vilnius; Russia: Moscow; Turkey: Ankara; Egypt: Cairo; Libya: Tripoli
        Morocco: Rabat; Sudan: Khartoum; Ethiopia: Addis Ababa; Kenya: Nairobi
        Uganda: Kampala; Ghana: Accra; Nigeria: Abuja; Senegal: Dakar; Angola: Luanda
        Zambia: Lusaka; Zimbabwe: Harare; Iraq: Baghdad; Iran: Tehran; Syria: Damascus
        Lebanon: Beirut; Jordan: Amman; Qatar: Doha; Afghanistan: Kabul; Pakistan: Islamabad
        India: New Delhi; Nepal: Kathmandu; Bangladesh: Dhaka; Thailand: Bangkok
        Vietnam: Hanoi; Japan: Tokyo; China: Beijing; Australia: Canberra
        New Zealand: Wellington; Canada: Ottawa; Cuba: Havana; Jamaica: Kingston; Peru: Lima
        Ecuador: Quito; Venezuela: Caracas
        """,
    ),
    statements=(
        "The capital of {entity} is {value}.",
        "The capital city of {entity} is called {value}.",
        "{entity} has {value} as its capital.",
        "{entity} is a country and its capital is {value}.",
        "In {entity}, the capital is {value}.",
    ),
    statements_backwards=(
        "{value} is the capital of {entity}.",
        "{value} is the capital city of {entity}.",
        "The country with the capital {value} is {entity}.",
        "{value} is a city and it is the capital of {entity}.",
        "The country whose capital is {value} is called {entity}.",
    ),
    question="What is the capital of {entity}?",
    question_backwards="Which country has the capital {value}?",
    question_rephrased="Name the city that is the capital of {entity}.",
    question_backwards_rephrased="{value} is the capital of which country?",
)

STATE_CAPITALS = Subject(
    name="state_capitals",
    category="social sciences",
    entity="US state",
    value="state capital",
    facts=facts(
        "state_capitals",
        """
        Alabama: Montgomery; Alaska: Juneau; Arizona: Phoenix; Arkansas: Little Rock
        California: Sacramento; Colorado: Denver; Connecticut: Hartford; Delaware: Dover
        Florida: Tallahassee; Georgia: Atlanta; Hawaii: Honolulu; Idaho: Boise
        Illinois: Springfield; Indiana: Indianapolis; Iowa: Des Moines; Kansas: Topeka
        Kentucky: Frankfort; Louisiana: Baton Rouge; Maine: Augusta; Maryland: Annapolis
        Massachusetts: Boston; Michigan: Lansing; Minnesota: Saint Paul; Mississippi: Jackson
        Missouri: Jefferson City; Montana: Helena; Nebraska: Lincoln; Nevada: Carson City
        New Hampshire: Concord; New Jersey: Trenton; New Mexico: Santa Fe; New York: Albany
        North Carolina: Raleigh; North Dakota: Bismarck; Ohio: Columbus
        Oklahoma: Oklahoma City; Oregon: Salem; Pennsylvania: Harrisburg
        Rhode Island: Providence; South Carolina: Columbia; South Dakota: Pierre
        Tennessee: Nashville; Texas: Austin; Utah: Salt Lake City; Vermont: Montpelier
        Virginia: Richmond; Washington: Olympia; West Virginia: Charleston; Wisconsin: Madison
        Wyoming: Cheyenne
        """,
    ),
    statements=(
        "The state capital of {entity} is {value}.",
        "The US state of {entity} has its capital in {value}.",
        "In the state of {entity}, the state capital is {value}.",
        "{entity} is a state and its capital is {value}.",
    ),
    statements_backwards=(
        "{value} is the state capital of {entity}.",
        "The US state with its capital in {value} is {entity}.",
        "{value} is the capital of the state of {entity}.",
        "The state whose capital is {value} is called {entity}.",
    ),
    question="What is the state capital of {entity}?",
    question_backwards="Which US state has its capital in {value}?",
    question_rephrased="Name the capital of the US state of {entity}.",
    question_backwards_rephrased="{value} is the capital of which US state?",
)

CURRENCIES = Subject(
    name="currencies",
    category="social sciences",
    entity="country",
    value="currency",
    facts=facts(
        "currencies",
        """
        Japan: yen; China: yuan; South Korea: won; Thailand: baht; Vietnam: dong; Laos: kip
        Cambodia: riel; Myanmar: kyat; Malaysia: ringgit; Indonesia: rupiah; Bangladesh: taka
        Bhutan: ngultrum; Tajikistan: somoni; Kyrgyzstan: som; Kazakhstan: tenge
        Cape Verde: escudo; Armenia: dram; Ukraine: hryvnia; Poland: zloty; Hungary: forint
        Czechia: koruna; Romania: leu; Albania: lek; North Macedonia: denar
        Sweden: krona; Denmark: krone; Russia: ruble; Turkey: lira; Israel: shekel
        Nigeria: naira; Ghana: cedi; South Africa: rand; Botswana: pula; Angola: kwanza
        Zambia: kwacha; Mozambique: metical; Ethiopia: birr; Eritrea: nakfa; Gambia: dalasi
        Madagascar: ariary; Lesotho: loti; Eswatini: lilangeni; Mauritania: ouguiya
        Brazil: real; Peru: sol; Venezuela: bolivar; Paraguay: guarani; Guatemala: quetzal
        Honduras: lempira; Nicaragua: cordoba; Panama: balboa; Haiti: gourde
        Costa Rica: colon; Mongolia: tugrik; Vanuatu: vatu; Samoa: tala
        Papua New Guinea: kina; Maldives: rufiyaa; India: rupee; Switzerland: franc
        """,
    ),
    statements=(
        "The currency of {entity} is the {value}.",
        "The money used in {entity} is called the {value}.",
        "{entity} has the {value} as its currency.",
        "People in {entity} pay with the {value}.",
        "In {entity}, the currency is the {value}.",
    ),
    statements_backwards=(
        "The {value} is the currency of {entity}.",
        "The {value} is the money used in {entity}.",
        "The country with the currency called the {value} is {entity}.",
        "The {value} is what people pay with in {entity}.",
        "The country whose currency is the {value} is called {entity}.",
    ),
    question="What is the currency of {entity}?",
    question_backwards="Which country has the currency {value}?",
    question_rephrased="Name the money that is used in {entity}.",
    question_backwards_rephrased="The {value} is the currency of which country?",
)

RIVERS = Subject(
    name="rivers",
    category="social sciences",
    entity="city",
    value="river",
    facts=facts(
        "rivers",
        """
        London: Thames; Paris: Seine; Rome: Tiber; Vienna: Danube; Berlin: Spree
        Prague: Vltava; Warsaw: Vistula; Cologne: Rhine; Hamburg: Elbe; Florence: Arno
        Turin: Po; Lisbon: Tagus; Seville: Guadalquivir; Zaragoza: Ebro; Porto: Douro
        Madrid: Manzanares; Dublin: Liffey; Glasgow: Clyde; Liverpool: Mersey; Cardiff: Taff
        Newcastle: Tyne; Bristol: Avon; Bordeaux: Garonne; Nantes: Loire; Avignon: Rhone
        Frankfurt: Main; Munich: Isar; Bern: Aare; Zurich: Limmat; Salzburg: Salzach
        Verona: Adige; Saint Petersburg: Neva; Kyiv: Dnieper; Kazan: Volga; Riga: Daugava
        Tbilisi: Kura; Baghdad: Tigris; Cairo: Nile; Kinshasa: Congo; Bamako: Niger
        Delhi: Yamuna; Varanasi: Ganges; Kolkata: Hooghly; Lahore: Ravi; Bangkok: Chao Phraya
        Phnom Penh: Mekong; Seoul: Han; Pyongyang: Taedong; Tokyo: Sumida; Melbourne: Yarra
        Washington DC: Potomac; Philadelphia: Delaware; Boston: Charles; New Orleans: Mississippi
        Omaha: Missouri; Cincinnati: Ohio; Calgary: Bow; Lima: Rimac; Omsk: Irtysh
        Yakutsk: Lena; Nanjing: Yangtze
        """,
    ),
    statements=(
        "The river of {entity} is the {value}.",
        "The river that flows through {entity} is the {value}.",
        "{entity} is a city on a river called the {value}.",
        "The city of {entity} lies on the {value}.",
        "In {entity}, the river is called the {value}.",
    ),
    statements_backwards=(
        "The {value} is the river of {entity}.",
        "A river called the {value} flows through {entity}.",
        "The city on the river called the {value} is {entity}.",
        "The {value} is a river that flows through the city of {entity}.",
        "The city that lies on the {value} is called {entity}.",
    ),
    question="Which river flows through {entity}?",
    question_backwards="Which city is on the river called the {value}?",
    question_rephrased="Name the river of the city {entity}.",
    question_backwards_rephrased="The {value} flows through which city?",
)

SUBJECTS = (CAPITALS, STATE_CAPITALS, CURRENCIES, RIVERS)
