"""What people are told, in German: subject and body by kind."""

MOMENT = "%d.%m.%Y, %H:%M UTC"
FOOTER = """Diese Nachricht hat der Dienst für Patientenakten {log} geschrieben. Bitte antworten Sie nicht darauf.
Er fragt Sie nie nach einem Passwort, einem Code oder einem Schlüssel."""

_STOP = (
    "Wenn Sie das nicht waren oder nicht erwarten, melden Sie es sofort dem Krankenhaus, das Sie registriert hat, oder dem "
    "Dienst."
)
_SIGN_INS = (
    "Wenn Sie das nicht waren, setzen Sie Ihr Passwort mit Ihrem Schlüssel zurück (`heartwood account password --reset`) und "
    "sehen Sie Ihre Anmeldungen durch (`heartwood account sign-ins`), oder melden Sie es sofort dem Krankenhaus, das Sie "
    "registriert hat, oder dem Dienst."
)

TEXTS: dict[str, tuple[str, str]] = {
    "access_answered": (
        "Ihre Anfrage um Einsicht ist beantwortet",
        "Am {at} wurde Ihre Anfrage {request} um Einsicht in die Akte {patient} beantwortet. Wie, zeigt `heartwood request list`.",
    ),
    "access_requested": (
        "Jemand bittet um Einsicht in Ihre Akte",
        "Am {at} hat das Konto {by} um Einsicht in Ihre Akte {patient} gebeten: {request}. Warum und worin, sehen Sie mit "
        "`heartwood request show {request}`.\n\nSie entscheiden: `heartwood request answer {request}` erlaubt, worum gebeten wird, "
        "oder weniger, und mit --no nichts. Die Anfrage wartet bis {until_at}; ohne Ihre Antwort bekommt niemand etwas.",
    ),
    "access_to_answer": (
        "Jemand bittet Ihr Krankenhaus um Unterlagen",
        "Am {at} hat das Konto {by} Ihr Krankenhaus um Unterlagen über {patient} gebeten, die dort geschrieben wurden: {request}. "
        "Die Anfrage wartet bis {until_at}.\n\nAntworten Sie mit `heartwood request close {request}`, nach einer Weitergabe oder "
        "Überweisung oder mit Nein, oder überlassen Sie die Antwort dem Patienten: `heartwood request forward {request}`.",
    ),
    "admin_appointed": (
        "Sie verwalten jetzt ein Krankenhaus",
        "Seit {at} verwaltet Ihr Konto {account} das Krankenhaus {hospital}.\n\n" + _STOP,
    ),
    "alarm_raised": (
        "ALARM: Das Protokoll hat einen Eintrag, den die Regeln nicht ergeben",
        "Der Schlüsselverwahrer hat gefunden, dass der Eintrag {entry} des Protokolls nicht das ist, was die Regeln ergeben. "
        "Der Alarm ist der Eintrag {alarm}, vom {at}.\n\nRufen Sie `heartwood status` und `heartwood audit` auf, und lesen "
        "Sie den Abschnitt über Alarme in docs/operations.md.",
    ),
    "chart_claimed": (
        "Eine Akte, die Ihr Krankenhaus registriert hat, wurde übernommen",
        "Am {at} hat das Konto {by} die Akte {patient}, die Ihr Krankenhaus registriert hat, mit dem Code eines Briefs "
        "übernommen.\n\nWenn das nicht die Patientin oder der Patient war, sperren Sie die Akte, und melden Sie es sofort "
        "dem Dienst.",
    ),
    "charts_joined": (
        "Zwei Akten gehören einer Person",
        "Seit {at} gelten Ihre Akte {patient} und eine weitere als die derselben Person: Beide Seiten haben unterschrieben. Was Sie in "
        "der einen erlaubt haben, kann in beiden gelten.\n\nWenn das falsch ist, beenden Sie es sofort: heartwood patient unlink.",
    ),
    "charts_linked": (
        "Ein Krankenhaus sagt, dass zwei Akten Ihre sind",
        "Am {at} hat das Krankenhaus {hospital} erklärt, dass Ihre Akte {patient} und eine weitere derselben Person gehören. Wen Sie in "
        "einer davon ausschließen, der bleibt nun aus beiden ausgeschlossen; niemand liest mehr als zuvor.\n\nWenn es stimmt und Ihre "
        "Erlaubnisse in beiden gelten sollen, unterschreiben Sie: heartwood patient link. Wenn es falsch ist, beenden Sie es: "
        "heartwood patient unlink.",
    ),
    "charts_unlinked": (
        "Ein Krankenhaus hat zurückgenommen, dass zwei Akten Ihre sind",
        "Am {at} hat das Krankenhaus {hospital} zurückgenommen, dass Ihre Akte {patient} und eine weitere derselben Person gehören. Wen "
        "die andere ausschließt, der bleibt aus Ihrer ausgeschlossen, bis auch Sie die Verbindung beenden: heartwood patient unlink.",
    ),
    "child_emergency": (
        "Für die Akte eines Kindes wurde ein Notfall erklärt",
        "Am {at} hat {by} aus dem Krankenhaus {hospital} für die Akte {patient} eines Kindes, für das Sie als Sorgeberechtigte "
        "handeln, einen Notfall erklärt und kann sie bis {until_at} ohne Einwilligung einsehen, soweit sie das für den Notfall "
        "erlaubt.\n\nJeder Blick steht im Verlauf, `heartwood history --for {patient}`, und das Krankenhaus prüft ihn nach. Wenn Sie "
        "von keinem Notfall wissen, fragen Sie beim Krankenhaus nach.",
    ),
    "child_emergency_reviewed": (
        "Ein Notfall zur Akte eines Kindes wurde nachgeprüft",
        "Am {at} hat das Krankenhaus {hospital} einen Notfall nachgeprüft, der dort für die Akte {patient} eines Kindes erklärt "
        "worden war, für das Sie als Sorgeberechtigte handeln. Das Ergebnis steht im Verlauf: `heartwood history --for "
        "{patient}`.\n\nWenn Sie nicht einverstanden sind, fragen Sie beim Krankenhaus nach.",
    ),
    "child_hospital_wrote": (
        "Ein Krankenhaus schreibt in die Akte eines Kindes",
        "Am {at} hat das Krankenhaus {hospital} in die Akte {patient} eines Kindes geschrieben, für das Sie als Sorgeberechtigte "
        "handeln. Diese Nachricht bekommen Sie für jedes Krankenhaus einmal.\n\nWer geschrieben und wer gelesen hat, steht im "
        "Verlauf: `heartwood history --for {patient}`. Wenn Sie das Krankenhaus nicht kennen, fragen Sie dort oder beim Dienst nach.",
    ),
    "child_consultation_opened": (
        "Ein Krankenhaus möchte ein Kind beraten",
        "Am {at} hat jemand aus dem Krankenhaus {hospital} eine Beratung zur Akte {patient} eines Kindes eröffnet, für das Sie als "
        "Sorgeberechtigte handeln. Worum es geht, steht im Verlauf: `heartwood history --for {patient}`. Stimmen Sie nur zu, wenn "
        "Sie es möchten: `heartwood consultation confirm --for {patient}`. Vorher sieht dadurch niemand etwas.",
    ),
    "child_details_corrected": (
        "Die Angaben zu einem Kind wurden berichtigt",
        "Am {at} hat das Krankenhaus {hospital} die Angaben zu {patient} berichtigt, einem Kind, für das Sie als Sorgeberechtigte "
        "handeln. Wer es war, steht im Verlauf: `heartwood history --for {patient}`. Wenn Sie nicht einverstanden sind, fragen "
        "Sie beim Krankenhaus nach.",
    ),
    "child_referral_accepted": (
        "Ein Krankenhaus hat die Überweisung eines Kindes angenommen",
        "Am {at} hat das Krankenhaus {hospital} angenommen, was ein anderes aus der Akte {patient} eines Kindes überwiesen hatte, "
        "für das Sie als Sorgeberechtigte handeln. Es kann diese Einträge jetzt mit seinem eigenen Schlüssel öffnen; was es "
        "abgeholt hat, erreicht keine Löschung mehr. Wer was getan hat, steht im Verlauf: `heartwood history --for {patient}`.",
    ),
    "child_referral_sent": (
        "Ein Krankenhaus hat ein Kind an ein anderes überwiesen",
        "Am {at} hat das Krankenhaus {hospital} Einträge der Akte {patient} eines Kindes, für das Sie als Sorgeberechtigte handeln, "
        "an ein anderes Krankenhaus überwiesen. Wer was getan hat, steht im Verlauf: `heartwood history --for {patient}`. Vor der "
        "Annahme sieht jenes nichts davon; wenn Sie es nicht möchten, schließen Sie es jetzt aus: `heartwood exclude --for "
        "{patient}`.",
    ),
    "child_records_disclosed": (
        "Ein Krankenhaus hat Unterlagen eines Kindes weitergegeben",
        "Das Krankenhaus {hospital} hat am {at} festgehalten, dass es Unterlagen aus der Akte {patient} eines Kindes, für das Sie "
        "als Sorgeberechtigte handeln, nach außen weitergegeben hat. Wann, und welches Krankenhaus, steht im Verlauf: `heartwood "
        "history --for {patient}`.\n\nAn wen, welche und wofür, sagt Ihnen das Krankenhaus: Fragen Sie dort nach, auch wenn Sie "
        "nicht einverstanden sind.",
    ),
    "claim_offered": (
        "Für eine Akte, die Ihr Krankenhaus registriert hat, gibt es einen neuen Code",
        "Am {at} hat das Konto {by} einen Code für die Akte {patient} ausgestellt, die Ihr Krankenhaus registriert hat. Wer "
        "den Brief mit dem Code hat, kann die Akte übernehmen; frühere Codes gelten nicht mehr.\n\nWenn Sie das nicht "
        "erwarten, stellen Sie einen anderen Code aus, und fragen Sie, wer es war.",
    ),
    "codes_added": (
        "Ihr Konto hat jetzt Einmalcodes",
        "Seit {at} fragt Ihr Konto {account} bei jeder Anmeldung nach einem Einmalcode.\n\n" + _STOP,
    ),
    "codes_removed": (
        "Die Einmalcodes Ihres Kontos wurden entfernt",
        "Seit {at} fragt Ihr Konto {account} nicht mehr nach einem Einmalcode: Das Passwort allein genügt.\n\n" + _STOP,
    ),
    "consultation_opened": (
        "Ein Krankenhaus möchte Sie beraten",
        "Am {at} hat jemand aus dem Krankenhaus {hospital} eine Beratung zu Ihrer Akte {patient} eröffnet. Worum es geht, zeigt "
        "`heartwood consultation list`. Stimmen Sie nur zu, wenn Sie es möchten: `heartwood consultation confirm`. Vorher sieht "
        "dadurch niemand etwas.",
    ),
    "referral_accepted": (
        "Ein Krankenhaus hat Ihre Überweisung angenommen",
        "Am {at} hat das Krankenhaus {hospital} angenommen, was ein anderes aus Ihrer Akte {patient} überwiesen hatte. Es kann "
        "diese Einträge jetzt mit seinem eigenen Schlüssel öffnen; was es abgeholt hat, erreicht keine Löschung mehr. Welche es "
        "sind, zeigt `heartwood referral list`; `heartwood exclude` schließt es von allem aus, was es noch nicht abgeholt hat.",
    ),
    "referral_sent": (
        "Ein Krankenhaus hat Sie an ein anderes überwiesen",
        "Am {at} hat das Krankenhaus {hospital} Einträge Ihrer Akte {patient} an ein anderes Krankenhaus überwiesen. Welche und "
        "an wen, zeigt `heartwood referral list`. Vor der Annahme sieht jenes nichts davon; wenn Sie es nicht möchten, schließen "
        "Sie es jetzt aus: `heartwood exclude`.",
    ),
    "contact_changed": (
        "Wir schreiben ab jetzt an eine andere Adresse",
        "Für Ihr Konto {account} wurde eine andere E-Mail-Adresse bestätigt. Ab jetzt schreiben wir an jene und nicht mehr "
        "an diese.\n\n" + _STOP,
    ),
    "contact_proof": (
        "Ihr Code",
        "Jemand hat diese E-Mail-Adresse für das Konto {account} angegeben. Wenn Sie das waren, bestätigen Sie die Adresse "
        "mit diesem Code:\n\n    {code}\n\nEr gilt einmal, bis {ending_at}: mit `heartwood account contact --prove CODE` "
        "oder dort, wo Sie die Adresse angegeben haben.\n\nWenn Sie es nicht waren, tun Sie nichts: Ohne den Code wird nie "
        "wieder etwas hierher geschickt.",
    ),
    "contact_removed": (
        "Wir schreiben nicht mehr an diese Adresse",
        "Diese E-Mail-Adresse wurde von Ihrem Konto {account} entfernt. Wir schreiben nicht mehr an sie.\n\n" + _STOP,
    ),
    "contact_taken": (
        "Ihre Adresse wurde noch einmal angegeben",
        "Jemand hat diese E-Mail-Adresse für ein anderes Konto als Ihres angegeben. Sie bleibt bei Ihrem Konto, und nichts "
        "wurde geändert.\n\nWenn Sie das waren: Entfernen Sie die Adresse zuerst von Ihrem anderen Konto.",
    ),
    "delegation_given": (
        "Jemand lässt sich von Ihnen vertreten",
        "Seit {at} dürfen Sie die Ärztin oder den Arzt {by} am Krankenhaus {hospital} vertreten, soweit Patienten es dort "
        "erlaubt haben. Sagen Sie es jedes Mal dazu, mit --on-behalf-of.\n\nWenn Sie das nicht erwarten, bitten Sie darum, es zu "
        "beenden.",
    ),
    "details_corrected": (
        "Ein Krankenhaus hat Ihre Angaben berichtigt",
        "Am {at} hat das Krankenhaus {hospital} berichtigt, was Ihre Akte {patient} über Sie sagt: Namen, Altersgrenzen oder ob Sie "
        "leben.\n\nWenn etwas daran nicht stimmt, fragen Sie dort nach. Was Sie erlaubt haben, können Sie auf jeden Fall "
        "zurücknehmen.",
    ),
    "doctor_approved": (
        "Sie sind als Ärztin oder Arzt zugelassen",
        "Seit {at} handelt Ihr Konto {account} als Ärztin oder Arzt für das Krankenhaus {hospital}.\n\n" + _STOP,
    ),
    "doctor_ended": (
        "Ihre Tätigkeit für ein Krankenhaus ist beendet",
        "Seit {at} handelt Ihr Konto {account} nicht mehr als Ärztin oder Arzt für das Krankenhaus {hospital}. Dessen "
        "Verwaltung weiß, warum.",
    ),
    "doctor_invited": (
        "Ein Krankenhaus lädt Sie als Ärztin oder Arzt ein",
        "Das Krankenhaus {hospital} lädt Sie ein, als Ärztin oder Arzt für es zu handeln. Wenn Sie damit rechnen, legen Sie ein "
        "Konto an, oder nehmen Sie das, das Sie haben, und geben Sie diesen Code ein:\n\n    {code}\n\nEr gehört zur Einladung "
        "{invitation} und gilt einmal, bis {ending_at}: `heartwood account join {hospital} --invitation {invitation} --code CODE "
        "--as SCHLÜSSELDATEI`.\n\nWer den Code hat, kann Ihren Platz einnehmen: Leiten Sie diese Nachricht nicht weiter, und "
        "löschen Sie sie danach. Wenn Sie nicht damit rechnen, tun Sie nichts.",
    ),
    "doctor_joined": (
        "Sie handeln jetzt für ein Krankenhaus",
        "Am {at} hat Ihr Konto {account} die Einladung des Krankenhauses {hospital} angenommen. Seither handelt es als Ärztin "
        "oder Arzt für dieses Krankenhaus.\n\n" + _STOP,
    ),
    "doctor_suspended": (
        "Ihre Zulassung ruht",
        "Seit {at} ruht die Zulassung Ihres Kontos {account} als Ärztin oder Arzt des Krankenhauses {hospital}. Dessen "
        "Verwaltung weiß, warum.",
    ),
    "emergency_declared": (
        "Für Ihre Akte wurde ein Notfall erklärt",
        "Am {at} hat {by} aus dem Krankenhaus {hospital} für Ihre Akte {patient} einen Notfall erklärt und "
        "kann sie bis {until_at} ohne Ihre Einwilligung einsehen, soweit Sie das für den Notfall erlauben.\n\nJeder Blick "
        "steht in Ihrem Verlauf, `heartwood history`, und das Krankenhaus prüft ihn nach. Wie weit im Notfall eingesehen "
        "werden darf, können Sie jederzeit ändern: `heartwood emergency configure`. Mit `heartwood exclude {by}` schließen "
        "Sie diese Person aus.",
    ),
    "emergency_reviewed": (
        "Ein Notfall wurde nachgeprüft",
        "Am {at} hat das Krankenhaus {hospital} einen Notfall nachgeprüft, der dort für Ihre Akte {patient} erklärt worden "
        "war. Das Ergebnis steht in Ihrem Verlauf: `heartwood history`.\n\nWenn Sie nicht einverstanden sind, fragen Sie beim "
        "Krankenhaus nach.",
    ),
    "emergency_to_review": (
        "In Ihrem Krankenhaus wurde ein Notfall erklärt: Bitte nachprüfen",
        "Am {at} hat {by} aus Ihrem Krankenhaus für die Akte {patient} einen Notfall erklärt. Er ist bis {due_at} "
        "nachzuprüfen, und zwar von jemandem aus der Verwaltung, der ihn nicht selbst erklärt hat: `heartwood emergency "
        "list`, dann `heartwood emergency review {emergency}`.",
    ),
    "erasure_completed": (
        "Was Sie löschen wollten, ist gelöscht",
        "Am {at} wurde die Löschung {erasure} abgeschlossen, die Ihr Konto {account} verlangt hatte: Die Schlüssel sind "
        "vernichtet, und niemand kann das Gelöschte mehr lesen. Ihr Verlauf zeigt weiterhin, wer was getan hat.",
    ),
    "erasure_requested": (
        "Jemand will Unterlagen von Ihnen löschen",
        "Am {at} hat Ihr Konto {account} verlangt, ein Dokument oder Ihre ganze Akte zu löschen: {erasure}. Seitdem kann "
        "niemand mehr lesen, was gelöscht werden soll. Am {due_at} werden die Schlüssel vernichtet, und nichts bringt es dann "
        "zurück.\n\nWenn Sie das nicht verlangt oder es sich anders überlegt haben, nehmen Sie es vorher zurück: `heartwood "
        "erase --withdraw {erasure}`. Wenn Sie das nicht können, melden Sie es sofort dem Krankenhaus, das Sie registriert "
        "hat, oder dem Dienst.",
    ),
    "erasure_withdrawn": (
        "Eine Löschung wurde zurückgenommen",
        "Am {at} hat Ihr Konto {account} die Löschung {erasure} zurückgenommen: Alles ist wie zuvor.\n\n" + _STOP,
    ),
    "factors_reset": (
        "Ihr Passwort oder Ihre Einmalcodes wurden zurückgesetzt",
        "Am {at} wurde das Passwort Ihres Kontos {account} ersetzt, oder seine Einmalcodes wurden entfernt, allein mit dem "
        "Schlüssel {key}: Niemand hat das alte Passwort oder einen Code gezeigt. Alle Sitzungen mit Passwort sind "
        "beendet.\n\nWenn Sie das nicht waren, hat jemand anderes diesen Schlüssel. Widerrufen Sie ihn sofort mit einem "
        "anderen, `heartwood key revoke {key}`, und setzen Sie mit jenem Ihr Passwort zurück. Wenn Sie keinen anderen "
        "haben, melden Sie es dem Krankenhaus, das Sie registriert hat, oder dem Dienst.",
    ),
    "guardian_appointed": (
        "Es wurde jemand als Sorgeberechtigter benannt",
        "Am {at} wurde das Konto {guardian} für die Akte {patient} als sorgeberechtigt benannt. Das gilt ab {counts_at}, oder "
        "sobald ein zweites Krankenhaus es bestätigt.\n\nWenn das falsch ist, widersprechen Sie vorher, und sagen Sie es dem "
        "Krankenhaus, das die Akte registriert hat.",
    ),
    "guardian_objected": (
        "Jemand widerspricht einem Sorgeberechtigten",
        "Am {at} hat jemand, der es darf, dem Konto {guardian} als sorgeberechtigt für die Akte {patient} widersprochen. Es gilt "
        "erst, wenn ein zweites Krankenhaus es bestätigt.",
    ),
    "hospital_approved": (
        "Ein Krankenhaus wurde zugelassen",
        "Am {at} wurde das Krankenhaus {hospital} mit dem Schlüssel des Betreibers zugelassen.\n\nWenn Sie das nicht waren, "
        "hat jemand anderes diesen Schlüssel: Widerrufen Sie ihn, und sperren Sie das Krankenhaus.",
    ),
    "hospital_wrote": (
        "Ein Krankenhaus schreibt in Ihre Akte",
        "Am {at} hat das Krankenhaus {hospital} in Ihre Akte {patient} geschrieben. Diese Nachricht bekommen Sie für jedes "
        "Krankenhaus einmal.\n\nIn Ihrem Verlauf sehen Sie, wer geschrieben und wer gelesen hat. Wenn Sie das "
        "Krankenhaus nicht kennen, fragen Sie dort oder beim Dienst nach.",
    ),
    "invitation_taken_up": (
        "Die Einladung Ihres Krankenhauses wurde angenommen",
        "Am {at} hat das Konto {by} die Einladung {invitation} angenommen und handelt von jetzt an als Ärztin oder Arzt für Ihr "
        "Krankenhaus {hospital}.\n\nWenn das nicht die Person ist, die Sie eingeladen haben, beenden Sie es sofort: `heartwood "
        "account end {by}`.",
    ),
    "key_recovered": (
        "Für Ihr Konto wurde ein neuer Schlüssel verlangt",
        "Am {at} wurde für Ihr Konto {account} ein neuer Schlüssel eingesetzt, {key}, weil Ihrer als verloren gemeldet "
        "wurde. Er gilt ab {counts_at}; bis dahin kann er nichts.\n\nWenn Sie das nicht verlangt haben, widerrufen Sie ihn "
        "vorher mit einem Ihrer Schlüssel: `heartwood key revoke {key}`. Wenn Sie keinen mehr haben, geht es einmal mit Ihrem "
        "Passwort oder einem Code: `heartwood account revoke-recovery {account}`. Und melden Sie es sofort dem Krankenhaus, "
        "das Sie registriert hat, oder dem Dienst.",
    ),
    "key_registered": (
        "Ihr Konto hat einen neuen Schlüssel",
        "Am {at} kam der Schlüssel {key} zu Ihrem Konto {account} hinzu. Wer ihn hat, kann als Sie handeln.\n\n" + _STOP,
    ),
    "kept_key_revoked": (
        "Der Schlüssel, den der Dienst für Sie verwahrt, wurde widerrufen",
        "Am {at} wurde der Schlüssel {key}, den der Dienst für Ihr Konto {account} verwahrt, widerrufen und vernichtet. Er "
        "unterschreibt nichts mehr.\n\n" + _STOP,
    ),
    "key_revoked": (
        "Ein Schlüssel Ihres Kontos wurde widerrufen",
        "Am {at} wurde der Schlüssel {key} Ihres Kontos {account} widerrufen. Er unterschreibt nichts mehr, "
        "und alle Sitzungen mit Passwort sind beendet. Wenn jemand anderes den Schlüssel hatte, setzen Sie auch Ihr Passwort "
        "zurück: Er kann es gesetzt haben.\n\n" + _STOP,
    ),
    "passkey_added": (
        "Ihr Konto hat einen neuen Passkey",
        "Seit {at} kann man sich mit einem weiteren Passkey an Ihrem Konto {account} anmelden. Alle anderen Sitzungen mit "
        "Passwort wurden beendet.\n\n" + _STOP,
    ),
    "passkey_removed": (
        "Ein Passkey Ihres Kontos wurde entfernt",
        "Am {at} wurde ein Passkey Ihres Kontos {account} entfernt: Er lässt niemanden mehr herein. Alle anderen Sitzungen "
        "mit Passwort wurden beendet.\n\n" + _STOP,
    ),
    "new_place": (
        "Anmeldung von einem neuen Ort",
        "Am {at} hat sich jemand bei Ihrem Konto {account} aus einem Netz angemeldet, aus dem es seit drei Monaten oder noch nie "
        "jemand getan hat. Wenn Sie das waren, ist nichts zu tun.\n\n" + _SIGN_INS,
    ),
    "password_changed": (
        "Ihr Passwort wurde geändert",
        "Am {at} bekam Ihr Konto {account} ein anderes Passwort. Alle anderen Sitzungen wurden beendet.\n\n" + _STOP,
    ),
    "password_no_reset": (
        "Ihr Passwort wird nicht per E-Mail ersetzt",
        "Jemand hat angegeben, das Passwort Ihres Kontos {account} vergessen zu haben. Das Konto hat keinen zweiten Faktor, und "
        "eine E-Mail allein ersetzt kein Passwort: Nichts wurde geändert.\n\nWenn Sie das waren, melden Sie sich mit Ihrem "
        "Schlüssel an und setzen Sie ein anderes, oder weisen Sie sich beim Krankenhaus, das Sie registriert hat, oder beim "
        "Dienst aus. Wenn Sie es nicht waren, tun Sie nichts.",
    ),
    "password_reset": (
        "Ersetzen Sie Ihr Passwort",
        "Jemand hat angegeben, das Passwort Ihres Kontos {account} vergessen zu haben. Wenn Sie das waren, setzen Sie mit "
        "diesem Link ein anderes:\n\n    {code}\n\nEr gilt einmal, bis {ending_at}: mit `heartwood account reset --link "
        "LINK` oder dort, wo Sie ihn verlangt haben. Auch nach Ihrem zweiten Faktor wird gefragt.\n\nWenn Sie es nicht "
        "waren, tun Sie nichts: Ohne den zweiten Faktor kommt niemand hinein, und Ihr Passwort bleibt, wie es ist.",
    ),
    "password_set": (
        "Ihr Konto hat jetzt ein Passwort",
        "Seit {at} kann man sich bei Ihrem Konto {account} mit einem Passwort anmelden.\n\n" + _STOP,
    ),
    "records_disclosed": (
        "Ein Krankenhaus hat Unterlagen von Ihnen weitergegeben",
        "Das Krankenhaus {hospital} hat am {at} festgehalten, dass es Unterlagen aus Ihrer Akte {patient} nach außen "
        "weitergegeben hat. An wen, welche und wofür, steht in Ihrer Aufstellung: `heartwood disclosures`.\n\nWenn Sie nicht "
        "einverstanden sind, fragen Sie beim Krankenhaus nach.",
    ),
    "recovery_revoked": (
        "Eine Wiederherstellung Ihres Kontos wurde widerrufen",
        "Am {at} wurde der neue Schlüssel, der für Ihr Konto {account} wartete, mit Ihrem Passwort oder einem Code "
        "widerrufen. Er wird nie gelten.\n\nWenn Sie das nicht waren, hat jemand Ihr Passwort oder Ihre Codes: Lassen Sie "
        "das Krankenhaus, das Sie registriert hat, oder den Dienst noch einmal feststellen, wer Sie sind. Die "
        "Wiederherstellung, die dann beginnt, lässt sich so nicht mehr aufhalten.",
    ),
    "recovery_used": (
        "Ein Wiederherstellungscode von Ihnen wurde benutzt",
        "Am {at} wurde für Ihr Konto {account} statt eines Einmalcodes ein Wiederherstellungscode benutzt. Es bleiben noch "
        "{left}.\n\n" + _STOP,
    ),
    "relation_ended": (
        "Sie handeln nicht mehr für jemanden",
        "Seit {at} handelt das Konto {account} nicht mehr für die Akte {patient}.",
    ),
    "relative_linked": (
        "Jemand handelt jetzt für Sie",
        "Am {at} wurde das Konto {by} mit dem Code Ihrer Einladung mit Ihrer Akte {patient} verbunden und handelt für Sie, soweit "
        "Sie es gesagt haben.\n\nWenn das nicht die Person ist, die Sie eingeladen haben, beenden Sie es sofort: heartwood "
        "relative unlink {by}.",
    ),
    "session_locked": (
        "Ihr Konto war für eine Weile gesperrt",
        "Am {at} waren zu viele Anmeldungen bei Ihrem Konto {account} fehlgeschlagen. Bis {until_at} meldet sich niemand mit "
        "dem Passwort an, wo Sie sich noch nie angemeldet haben. Ihre Schlüssel und Ihre offenen Sitzungen gelten "
        "weiter.\n\nWenn Sie das nicht waren, rät vielleicht jemand Ihr Passwort: Ändern Sie es, wenn andere es kennen "
        "könnten.",
    ),
}  # fmt: skip
